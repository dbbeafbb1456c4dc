"""JSON that is no JSON Lines: one array, or one object of all rows, as pandas and many programs write it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from tunebook.data.columns import Column
from tunebook.data.lines import LONGEST_ROW
from tunebook.errors import UserError

PANDAS = 'df.to_json(path, orient="records", lines=True)'
_AHEAD = 1 << 16
"""Bytes behind a first row that are looked at for a second one."""
_WRAPPERS = ("data", "rows", "records", "items", "examples", "train", "validation", "test")
"""Names that lists of rows usually have."""


def refuse_document(first: bytes, file: BinaryIO, path: Path, columns: Sequence[Column]) -> None:
    """Refuse a file that is one value of JSON for all rows; what it begins with says so.

    Args:
        first: Its first line that is not blank.
        file: The file, behind that line; left where it stands.
        path: What messages call it.
        columns: The columns wanted; none where these depend on what the file has.

    Raises:
        UserError: It is no JSON Lines, with the command that converts it.
    """
    if first.lstrip().startswith(b"["):
        _refuse_lines_of_arrays(first, file, path)
        raise UserError(
            f"{path.name} is one JSON array, not JSON Lines",
            code="data.json-array",
            where=f"{path}:1",
            fix=f"jq -c '.[]' {path.name} > {_converted(path)}, or {PANDAS}",
        )
    if not first.lstrip().startswith(b"{"):
        return
    place = file.tell()
    value, end, text = _decoded(first)
    rest = file.read(_AHEAD) if value is not None else b""
    several = value is None
    if several:
        value, end, text = _decoded(first + file.read(LONGEST_ROW))
    file.seek(place)
    if isinstance(value, dict) and not text[end:].strip() and not rest.strip():
        _refuse_shape(value, path, columns)
    if several and (value is not None or first.strip() == b"{"):
        fix = f"jq -c . {path.name} > {_converted(path)} writes each on a line of its own"
        raise _document(f"{path.name} has JSON objects of several lines", fix, path)


def _converted(path: Path) -> str:
    """A name for the rows as JSON Lines, which is never that of the file itself."""
    return f"lines-{path.name.removesuffix('.gz').removesuffix('.json').removesuffix('.jsonl')}.jsonl"


def _by_pandas(value: Mapping[str, Any], path: Path) -> str:
    """What converts an object of columns, typed in a shell."""
    orient = ", orient='split'" if _is_split(value) else ""
    return (
        f"python -c \"import pandas; pandas.read_json('{path.name}'{orient})"
        f".to_json('{_converted(path)}', orient='records', lines=True)\""
    )


def _refuse_lines_of_arrays(first: bytes, file: BinaryIO, path: Path) -> None:
    """Refuse rows without the names of their columns: an array a line, or an array of arrays."""
    place = file.tell()
    value, end, text = _decoded(first)
    rest = file.read(_AHEAD)
    file.seek(place)
    whole = isinstance(value, list) and not text[end:].strip()
    if whole and value and (rest.strip() or _all(list, value)):
        what = f"{path.name} has rows that are JSON arrays, without the names of their columns"
        raise _document(what, 'write each as an object on a line: {"text": "...", "label": "..."}', path)


def _decoded(raw: bytes) -> tuple[Any, int, str]:
    """The value that a text of JSON begins with, where it ends, and the text; None where it begins with none."""
    text = raw.decode("utf-8", "replace").lstrip()
    try:
        return *json.JSONDecoder().raw_decode(text), text
    except (ValueError, RecursionError):
        return None, 0, text


def _refuse_shape(value: Mapping[str, Any], path: Path, columns: Sequence[Column]) -> None:
    wanted = [column for column in columns if column.name in value]
    inside = list(value.values())
    if _is_split(value) or _is_columns(inside, any(column.kind != "any" for column in wanted)):
        raise _document(f"{path.name} is one JSON object of columns", _by_pandas(value, path), path)
    lists = [name for name, each in value.items() if isinstance(each, list) and each and _all(dict, each)]
    if not wanted and (columns or (lists and lists[0] in _WRAPPERS)):
        names = {column.name for column in columns if column.required}
        if lists:
            fix = f"jq -c '.[\"{lists[0]}\"][]' {path.name} > {_converted(path)}"
            raise _document(f"{path.name} is one JSON object with the rows in {lists[0]!r}", fix, path)
        if inside and _all(dict, inside) and any(names & each.keys() for each in inside):
            fix = f"jq -c '.[]' {path.name} > {_converted(path)}, or {PANDAS}"
            raise _document(f"{path.name} is one JSON object with a row under each key", fix, path)


def _is_split(value: Mapping[str, Any]) -> bool:
    """Whether this is what pandas writes with ``orient="split"``."""
    return {"columns", "data"} <= set(value) <= {"columns", "data", "index", "name"} and isinstance(value["data"], list)


def _is_columns(inside: Sequence[Any], has_text: bool) -> bool:
    """Whether the values are columns: objects by row number, as pandas writes them, or lists of one length.

    Args:
        inside: The values of an object.
        has_text: Whether a column is among them that holds texts or numbers, and so neither objects nor lists.
    """
    if not inside:
        return False
    if _all(dict, inside):
        rows = inside[0].keys()
        numbered = bool(rows) and all(name.isdigit() for name in rows)
        return (numbered or has_text) and all(each.keys() == rows for each in inside)
    return has_text and _all(list, inside) and len({len(each) for each in inside}) == 1


def _all(kind: type, values: Sequence[Any]) -> bool:
    return all(isinstance(value, kind) for value in values)


def _document(what: str, fix: str, path: Path) -> UserError:
    return UserError(f"{what}, not JSON Lines", code="data.json-document", where=f"{path}:1", fix=fix)
