"""Typed values of JSON, Parquet and `datasets` files as text."""

from __future__ import annotations

import json
import math
from typing import Any

EXACT = 2.0**53
"""Up to here every integer is a float of its own."""


def as_text(value: Any, nested: bool) -> str | None:
    """Write a value as the text that a CSV file would hold.

    5 and 5.0 both become "5" (pandas turns an integer column with a gap into floats), 2.5 becomes "2.5",
    True becomes "true", None and NaN mean that there is no value.

    Args:
        value: Any value of JSON or of Arrow's `as_py`.
        nested: Write lists and objects as JSON; otherwise they are refused.

    Raises:
        ValueError: The value has no plain text; the message completes "field 'x' ...".
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return str(int(value)) if value.is_integer() and abs(value) < EXACT else repr(value)
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(not_utf8(value[error.start], error.start)) from None
    if isinstance(value, (list, dict)):
        if nested:
            return json.dumps(value, ensure_ascii=False, default=str)
        raise ValueError(f"is a {'list' if isinstance(value, list) else 'nested object'}, not text")
    return str(value)


def without_missing(value: Any) -> Any:
    """A value of Arrow without the nulls of its structs, which stand for keys that the row never had.

    All structs of a column have the same keys. A null in a list is kept: it has a place there.
    """
    if isinstance(value, dict):
        return {key: without_missing(each) for key, each in value.items() if each is not None}
    return [without_missing(each) for each in value] if isinstance(value, list) else value


def not_utf8(byte: int, offset: int) -> str:
    """The reason for a field with bytes that are no UTF-8: which, what Windows reads in it, and how to convert it."""
    windows = bytes([byte]).decode("cp1252", "ignore")
    seems = f" ({windows!r} in Windows-1252)" if windows else ""
    way_out = "save it as 'CSV UTF-8', or iconv -f cp1252 -t utf-8"
    return f"is not UTF-8: byte 0x{byte:02x} at offset {offset}{seems}: {way_out}"
