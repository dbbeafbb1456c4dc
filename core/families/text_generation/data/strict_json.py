"""JSON of rows, read without leniency; a reason is given for what is none."""

from __future__ import annotations

import json
import re
from types import NoneType
from typing import Any

from tunebook.families.text_generation.data.message import UnusableConversation

SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a pair: JSON can write it in escapes, and UTF-8 cannot."""
KINDS = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "a truth value",
    int: "a number",
    float: "a number",
    NoneType: "null",
}


def kind(value: Any) -> str:
    """What a JSON value is, in words."""
    return KINDS[type(value)]


def strict_json(text: str) -> Any:
    """Read JSON that has no key twice in an object, no NaN and no Infinity.

    Raises:
        UnusableConversation: It is something else; the reason says what.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        hint = " (Python wrote it: use json.dumps, not str)" if text.lstrip().startswith(("[{'", "{'")) else ""
        raise UnusableConversation(f"not JSON: {error.msg.removesuffix(' at')} at column {error.colno}{hint}") from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else "has a number with too many digits"
        raise UnusableConversation(reason) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UnusableConversation(f"the key {twice!r} occurs more than once in an object")
    return record


def _no_constant(name: str) -> None:
    raise UnusableConversation(f"contains {name}, which is not JSON")
