"""JSON Lines: one object a line, each line a row or a reject of its own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from tunebook.data.chunks import Chunk, Reject, empty_file, missing_column
from tunebook.data.columns import Column, read_names
from tunebook.data.json_documents import PANDAS, refuse_document
from tunebook.data.lines import byte_lines
from tunebook.data.unread import COLUMNS, MOST_NAMES, Unread
from tunebook.data.values import as_text, not_utf8
from tunebook.errors import UserError
from tunebook.untrusted import values_within

BOM = b"\xef\xbb\xbf"


def read_jsonlines(
    file: BinaryIO, path: Path, columns: Sequence[Column], reject: Reject, rows: int, unread: Unread
) -> Iterator[Chunk]:
    """Stream a JSON Lines file; blank lines are skipped but counted.

    A row may lack a key (the checks then reject it if it is required); a column that no row of the first
    chunk has is an error.
    """
    chunk, seen, checked, empty = Chunk.empty(columns), set[str](), False, True
    named, beside = read_names(columns), Counter[str]()
    for line, record, constants in _objects(file, path, columns, reject):
        empty = False
        if record is None:
            continue
        seen.update(record)
        values = _texts(record, line, columns, reject, constants)
        if values is not None:
            chunk.append(columns, values, line)
            for name, value in record.items():
                if name not in named and value is not None and value != "":
                    beside[name] += 1
            if len(beside) > MOST_NAMES:  # a key of its own in every row
                unread.add(COLUMNS, beside)
                beside.clear()
        if chunk.is_full(rows):
            if not checked:
                _check_keys(columns, seen, path)
                checked = True
            yield chunk
            chunk = Chunk.empty(columns)
    unread.add(COLUMNS, beside)
    if empty:
        raise empty_file(path)
    if seen and not checked:
        _check_keys(columns, seen, path)
    if chunk.lines:
        yield chunk


def _objects(
    file: BinaryIO, path: Path, columns: Sequence[Column], reject: Reject
) -> Iterator[tuple[int, dict[str, Any] | None, bool]]:
    """Yield line number, object, or None in place of a line that was rejected, and whether a `_Constant` is in it."""
    begun = False
    for line, raw in enumerate(_lines(file, path), start=1):
        if line == 1:
            raw = raw.removeprefix(BOM)
        if not raw.strip():
            continue
        first, begun = not begun, True
        if first:
            refuse_document(raw, file, path, columns)
        try:
            yield line, *_parse(raw)
        except (ValueError, RecursionError) as error:
            reject(line, "", str(error) or "is nested too deeply", raw[:200].decode("utf-8", "replace").strip())
            yield line, None, False


def _lines(file: BinaryIO, path: Path) -> Iterator[bytes]:
    try:
        yield from byte_lines(file, path.name)
    except UserError as error:
        if error.code == "data.row-too-long":
            raise error.replace(fix=f"each row must be a line of its own; of a DataFrame: {PANDAS}") from error
        raise


def _parse(raw: bytes) -> tuple[dict[str, Any], bool]:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(not_utf8(raw[error.start], error.start)) from None
    constants: list[str] = []

    def constant(name: str) -> _Constant:
        constants.append(name)
        return _Constant(name)

    try:
        record = json.loads(text.rstrip("\r\n"), object_pairs_hook=_unique, parse_constant=constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg} at column {error.colno}") from None
    if not isinstance(record, dict):
        raise ValueError(f"is not a JSON object but {text.strip()[:40]}")
    return record, bool(constants)


class _Constant(str):
    """What stands in JSON for a number that is none: NaN, Infinity or -Infinity."""


def _refuse_constants(value: Any) -> None:
    """Refuse a value with such a number in it; a column that nobody reads may hold it."""
    for _, inside in values_within(value):
        if isinstance(inside, _Constant):
            raise ValueError(f"holds {inside}, which is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"has the key {next(key for key in keys if keys.count(key) > 1)!r} more than once")
    return record


def _texts(
    record: dict[str, Any], line: int, columns: Sequence[Column], reject: Reject, constants: bool
) -> list[str | None] | None:
    """The wanted values as text, or None when one of them has no text."""
    values = []
    for column in columns:
        try:
            found = record.get(column.name)
            if constants:
                _refuse_constants(found)
            value = as_text(found, nested=column.nested)
            if value is not None and not value.isascii():
                value.encode("utf-8")
        except UnicodeEncodeError:
            reject(line, column.name, "holds half of a surrogate pair (\\ud800-\\udfff)", "")
            return None
        except ValueError as error:
            reject(line, column.name, str(error), str(record[column.name]))
            return None
        except RecursionError:
            reject(line, column.name, "is nested too deeply", "")
            return None
        values.append(value)
    return values


def _check_keys(columns: Sequence[Column], seen: set[str], path: Path) -> None:
    for column in columns:
        if column.required and column.name not in seen:
            raise missing_column(column, path, sorted(seen))
