"""From a row, in either form, to its brief and its copies.

What stands in a row is text. Text that is a JSON list is a list, of texts, numbers and truth values; numbers stay as
they are written. Other text is text: a field is never cut at a semicolon. What has no value is left out.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from tunebook.families.brief_to_text.data.brief import Brief, UnusableBrief, Value
from tunebook.families.brief_to_text.data.forms import CONTEXT, COPY, FIELD, PART, SOURCE, BriefForm
from tunebook.families.brief_to_text.data.slots import read_slots
from tunebook.families.brief_to_text.data.structured import CopyStructure
from tunebook.families.text_generation.data.strict_json import KINDS, SURROGATE

Row = Mapping[str, "str | None"]
PYTHONS = re.compile(r"""\[\s*['"].*['"]\s*\]|\{\s*'.*\}""", re.DOTALL)
"""What ``str`` makes of a list of texts or an object, and pandas writes into CSV."""


def read_brief(row: Row, form: BriefForm) -> Brief:
    """Read the brief of a row.

    Constraints stand in columns of their own, or among the keys of the brief where one column holds it whole.
    Phrases to mention or avoid are a JSON list, or a text that is cut at ";" and "|".

    Args:
        row: Text by role, as `brief_columns` names them.
        form: How the row holds it.

    Raises:
        UnusableBrief: It is empty or cannot be read; the message says why.
    """
    found: dict[str, Any] = {name: _cell(row.get(FIELD + name), name) for name in form.fields}
    if form.brief:
        found = _whole(row.get(SOURCE) or "")
    limits: dict[str, Any] = {}
    for role, name in form.constraints.named().items():
        value, inside = _cell(row.get(role), name), found.pop(name, ())
        if value and inside:
            raise UnusableBrief(f"{name!r} is in the brief and in a column of its own")
        limits[role] = value or inside
    fields = tuple((name, value) for name, value in found.items() if value)
    if not fields:
        raise UnusableBrief("it is empty")
    return Brief(
        fields,
        must_mention=_phrases(limits.get("must_mention", ())),
        must_avoid=_phrases(limits.get("must_avoid", ())),
        channel=_channel(limits.get("channel", ())),
        max_characters=_limit(limits.get("max_characters", ()), "max_characters"),
        max_words=_limit(limits.get("max_words", ()), "max_words"),
        context=_documents(_cell(row.get(CONTEXT), form.context or "")),
    )


def read_copies(row: Row, structure: CopyStructure | None = None) -> tuple[str, ...]:
    """Read the copies of a row: one text, or a JSON list of texts; without the white space around them.

    With a structure a copy is an object, or made of columns, and is read as JSON text with the keys in its order.

    Raises:
        UnusableBrief: There is none, or one is empty, no text, or not as the structure says.
    """
    if structure is not None:
        return tuple(map(structure.copy_of, _records(row, structure)))
    text = row.get(COPY) or ""
    items = _decoded(text, "it")
    if isinstance(items, dict):
        raise UnusableBrief("it is an object, and not a text or a list of texts")
    listed = items if isinstance(items, list) else [text]
    if not listed:
        raise UnusableBrief("it is empty")
    for number, item in enumerate(listed, start=1):
        if not isinstance(item, str):
            raise UnusableBrief(f"copy {number} is {KINDS[type(item)]}, not a text")
    copies = tuple(_clean(item) for item in listed)
    for number, copy in enumerate(copies, start=1):
        if not copy:
            raise UnusableBrief(f"copy {number} of {len(copies)} is empty" if len(copies) > 1 else "it is empty")
    return copies


def _records(row: Row, structure: CopyStructure) -> list[Any]:
    """The copies of a row as objects."""
    if structure.parts:
        record = {name: _clean(row.get(PART + name) or "") for name in structure.parts}
        for name, text in record.items():
            if not text:
                raise UnusableBrief(f"{name!r} is empty")
        return [record]
    text = row.get(COPY) or ""
    if not text.strip():
        raise UnusableBrief("it is empty")
    try:
        found = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        hint = ": Python wrote it; use json.dumps, not str" if PYTHONS.fullmatch(text.strip()) else ""
        raise UnusableBrief(f"it is not JSON ({error.msg} at column {error.colno}{hint})") from None
    except RecursionError:
        raise UnusableBrief("it is nested too deeply") from None
    records = found if isinstance(found, list) else [found]
    if not records:
        raise UnusableBrief("it is empty")
    return [_normal(record) for record in records]


def _normal(value: Any) -> Any:
    """A JSON value whose texts are in normal form C, without the white space around them."""
    if isinstance(value, dict):
        return _unique([(_clean(name), _normal(each)) for name, each in value.items()])
    if isinstance(value, list):
        return [_normal(each) for each in value]
    return _clean(value) if isinstance(value, str) else value


def _whole(text: str) -> dict[str, Value]:
    """The fields of a JSON object, or of a text such as ``name[Tollgate], price[$58]``."""
    record = _decoded(text, "it", object_wanted=True)
    if record is None:
        record = read_slots(text)
    if not isinstance(record, dict):
        raise UnusableBrief(f"it is {KINDS[type(record)]}, not an object")
    return _unique([(_clean(name), _value(value, name)) for name, value in record.items()])


def _cell(text: str | None, name: str) -> Value:
    value = _decoded(text or "", repr(name))
    return _value(text if value is None else value, name)


def _value(value: Any, name: str) -> Value:
    """A value of JSON as a field holds it; "" or () for none."""
    if isinstance(value, list):
        return tuple(text for item in value if (text := _scalar(item, f"an item of {name!r}")))
    return _scalar(value, repr(name))


def _scalar(value: Any, what: str) -> str:
    if isinstance(value, (list, dict)):
        raise UnusableBrief(f"{what} is {KINDS[type(value)]}, but a field is a text or a list of texts")
    return _clean(value if isinstance(value, str) else {None: "", True: "true", False: "false"}[value])


def _clean(text: str) -> str:
    # The reader has looked at what the file holds, but not at what JSON wrote in escapes.
    if "\0" in text:
        raise UnusableBrief("it contains a NUL character")
    if SURROGATE.search(text):
        raise UnusableBrief("it contains half of a surrogate pair (\\ud800-\\udfff)")
    return unicodedata.normalize("NFC", text).strip()


def _phrases(value: Value) -> tuple[str, ...]:
    parts = re.split("[;|]", value) if isinstance(value, str) else value
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))


def _documents(value: Value) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) and value else tuple(value)


def _channel(value: Value) -> str | None:
    if isinstance(value, tuple) and value:
        raise UnusableBrief("the channel is a list, not a text")
    return value if isinstance(value, str) and value else None


def _limit(value: Value, name: str) -> int | None:
    if not value:
        return None
    found = re.fullmatch(r"0*([1-9]\d{0,8})(\.0+)?", value) if isinstance(value, str) else None
    if found is None:
        raise UnusableBrief(f"{name} is {value!r}, not a positive whole number")
    return int(found.group(1))


def _decoded(text: str, what: str, object_wanted: bool = False) -> Any:
    """The list or object that a text is in JSON; None where it is neither: a text may begin with a bracket."""
    if not text.lstrip().startswith(("[", "{")):
        return None
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=str, parse_int=str)
    except json.JSONDecodeError as error:
        if PYTHONS.fullmatch(text.strip()):
            raise UnusableBrief(f"{what} is in Python syntax, not JSON: use json.dumps, not str") from None
        if object_wanted and text.lstrip().startswith("{"):
            raise UnusableBrief(f"{what} is not JSON: {error.msg} at column {error.colno}") from None
        return None
    except RecursionError:
        raise UnusableBrief(f"{what} is nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UnusableBrief(f"the key {twice!r} occurs more than once")
    return record


def _no_constant(name: str) -> None:
    raise UnusableBrief(f"it contains {name}, which is not JSON")
