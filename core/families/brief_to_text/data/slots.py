"""Briefs as the E2E data has them: ``name[The Vaults], eatType[pub], priceRange[more than £30]``."""

from __future__ import annotations

import re

from tunebook.families.brief_to_text.data.brief import UnusableBrief

NAME = re.compile(r"[^\[\],]*")
HINT = "neither a JSON object nor name[value], name[value] (is it plain text? then name its column in recipe.fields)"


def read_slots(text: str) -> dict[str, str]:
    """Read the fields of a brief in brackets; a value may hold commas, and brackets that close again.

    Args:
        text: Names and values, parted by commas. White space around them does not count.

    Returns:
        Name to value, in order; values may be "".

    Raises:
        UnusableBrief: It is no such text, or a field stands twice; the message names the character, counted from 1.
    """
    fields: dict[str, str] = {}
    start = 0
    while True:
        name, opening = _name(text, start, first=not fields)
        closing = _closing(text, opening)
        if name in fields:
            raise UnusableBrief(f"the field {name!r} occurs twice, again at character {_shown(text, start)}")
        fields[name] = text[opening + 1 : closing].strip()
        rest = text[closing + 1 :].lstrip()
        if not rest:
            return fields
        start = len(text) - len(rest) + 1
        if rest[0] != ",":
            raise UnusableBrief(f"',' expected at character {start}, after the field {name!r}, and not {rest[0]!r}")


def _name(text: str, start: int, first: bool) -> tuple[str, int]:
    """The name that begins here, and the position of the bracket after it."""
    found = NAME.match(text, start)
    name, opening = (found.group().strip(), found.end()) if found else ("", start)
    if opening == len(text) or text[opening] != "[":
        if first:
            raise UnusableBrief(f"no '[' after the first name: it is {HINT}")
        raise UnusableBrief(f"'[' expected at character {opening + 1}, after {name!r}")
    if not name:
        raise UnusableBrief(f"the field at character {opening + 1} has no name")
    return name, opening


def _closing(text: str, opening: int) -> int:
    """The position of the bracket that closes this one."""
    depth = 0
    for found in re.compile(r"[\[\]]").finditer(text, opening):
        depth += 1 if found.group() == "[" else -1
        if not depth:
            return found.start()
    raise UnusableBrief(f"the '[' at character {opening + 1} is never closed")


def _shown(text: str, start: int) -> int:
    """The number of the first character from here that is not white space."""
    return len(text) - len(text[start:].lstrip()) + 1
