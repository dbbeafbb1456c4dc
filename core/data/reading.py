"""From sources to checked rows: every row is kept or rejected with its reason, none is changed in silence."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tunebook.data.chunks import Chunk
from tunebook.data.columns import Column
from tunebook.data.delimited import UNDECODED
from tunebook.data.file_source import file_source
from tunebook.data.formats import read_batches
from tunebook.data.label_sets import listed
from tunebook.data.labels import same_number
from tunebook.data.numbers import number_text
from tunebook.data.paths import resolve_paths, short_names
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows, RowWriter, row_schema
from tunebook.data.split_column import split_name
from tunebook.data.text_template import is_with

Invalid = Callable[[Mapping[str, str]], str | None]
"""A recipe's own row check: role to text in, the reason for a reject or None out."""


@dataclass(frozen=True)
class RowCheck:
    """What makes a row good.

    Attributes:
        columns: The columns it is made of.
        labels: The only labels allowed (``data.labels``), or None for any.
        invalid: The recipe's own check, after all others.
        folder: What paths of files are relative to.
        spelled: Takes the labels that are the number of one of ``labels`` written otherwise (``3.0`` for ``3``), each
            with the one that it counts as; None: they are rejected.
    """

    columns: Sequence[Column]
    labels: Collection[str] | None = None
    invalid: Invalid | None = None
    folder: Path | None = None
    spelled: dict[str, str] | None = None


def read_rows(
    spec: Any,
    key: str,
    columns: Sequence[Column],
    rejects: RejectLog,
    *,
    split: str = "rows",
    labels: Collection[str] | None = None,
    invalid: Invalid | None = None,
    names: Mapping[Path, str] | None = None,
    progress: Callable[[int], None] | None = None,
    delimiter: str | None = None,
    spelled: dict[str, str] | None = None,
    vote: bool = False,
) -> Rows:
    """Read and check rows, without splitting or comparing them.

    Texts, labels and groups are brought to Unicode normal form C, and are otherwise as they stand. Bad rows
    go to ``rejects``; whether there are too many is for the caller to ask (`RejectLog.check`).

    Args:
        spec: What the config says: see `resolve_paths`.
        key: The config key that says it.
        columns: The columns to read.
        rejects: Takes the bad rows and counts all.
        split: Name of the rows.
        labels: The only labels allowed.
        invalid: The recipe's own row check.
        names: What messages call each file (default: its name, with as many folders as tell files apart).
        progress: Called now and then with the number of rows read so far.
        delimiter: What separates the columns of CSV files (``data.delimiter``; default: a comma).
        spelled: See `RowCheck`.
        vote: Whether the majority of disagreeing annotators decides (``data.disagreement``).

    Raises:
        UserError: A source is missing, lacks a column or cannot be read.
    """
    paths = resolve_paths(spec, key, folders=file_source(columns) is not None)
    names = names or short_names(paths)
    template = next((column.template for column in columns if column.template is not None), None)
    kept = [column.role for column in columns if template is None or not is_with(column.role)]
    writer = RowWriter(row_schema(kept), split)
    root = next((column.root for column in columns if column.root), None)
    files = pa.array([names[path] for path in paths], pa.string())
    for index, path in enumerate(paths):
        log = _FileLog(rejects, names[path])
        check = RowCheck(columns, labels, invalid, Path(root).expanduser() if root else path.parent, spelled)
        batches = read_batches(
            path, columns, log.unreadable, split=split, unread=rejects.unread, delimiter=delimiter, vote=vote
        )
        for chunk in batches:
            good = check_chunk(chunk, check, log)
            if template is not None:
                template.write_texts(good.values, rejects.empty)
            places = pa.DictionaryArray.from_arrays(np.full(len(good.lines), index, np.int32), files)
            writer.add(good.values, places, good.lines)
            if progress is not None:
                progress(rejects.read)
    return writer.finish()


@dataclass(frozen=True)
class _FileLog:
    """The reject log, for one file."""

    rejects: RejectLog
    file: str

    def unreadable(self, line: int, field: str, reason: str, text: str) -> None:
        """Log a row that no chunk holds."""
        self.rejects.read += 1
        self.rejects.add(self.file, line, field, reason, text)


def check_chunk(chunk: Chunk, check: RowCheck, log: _FileLog) -> Chunk:
    """Keep the good rows of a chunk and log the others."""
    good = Chunk.empty(check.columns)
    log.rejects.read += len(chunk.lines)
    values = [chunk.values[column.role] for column in check.columns]
    for line, row in zip(chunk.lines, zip(*values, strict=True), strict=True):
        clean, problem = _check_row(row, check)
        if problem is None:
            good.append(check.columns, clean, line)
        else:
            field, reason, text = problem
            hint = next((c.files.hint for c in check.columns if c.files and c.name == field and text), "")
            log.rejects.add(log.file, line, field, reason, text, hint)
    return good


def _check_row(row: Sequence[str | None], check: RowCheck) -> tuple[list[str | None], tuple[str, str, str] | None]:
    """The row's values as they are kept, and field, reason and text of the first thing wrong with it."""
    clean: list[str | None] = []
    for column, value in zip(check.columns, row, strict=True):
        if value is None or _is_missing(value, column):
            if column.required and not column.gaps:
                return clean, (column.name, _missing_reason(value, column), value or "")
            clean.append(None)
            continue
        if column.files is None:  # a file system may know its files by another normal form
            value = unicodedata.normalize("NFC", value)
        if "\0" in value:
            return clean, (column.name, "holds a NUL character", value)
        if not value.isascii() and UNDECODED.search(value):  # names of files are bytes
            return clean, (column.name, f"is {value!r}, which is not UTF-8", value)
        found, fault = value, ""
        if column.kind == "flag":
            found, fault = _flag(value)
        elif column.kind == "number":
            found, fault = number_text(value)
        elif column.kind == "labels":
            found, fault = listed(value, column.separator, check.labels)
        elif column.kind == "split":
            found, fault = split_name(value)
        elif column.categories is not None:
            found, fault = column.categories.read(value)
        elif column.files is not None:
            found, fault = column.files.locate(value, check.folder)
        if fault:
            return clean, (column.name, fault, value)
        value = found
        if column.kind == "label" and check.labels is not None and value not in check.labels:
            same = same_number(value, check.labels)
            if same is None or check.spelled is None:
                return clean, (column.name, _unlisted_reason(value, check.labels, same), value)
            check.spelled[value] = same
            value = same
        clean.append(value)
    if check.invalid is not None:
        named = {c.role: value for c, value in zip(check.columns, clean, strict=True) if value is not None}
        reason = check.invalid(named)
        if reason is not None:
            return clean, ("", reason, next(iter(named.values()), ""))
    return clean, None


def _flag(value: str) -> tuple[str, str]:
    """Yes or no as "1" or "0", and what is wrong with any other value."""
    plain = {"1": "1", "1.0": "1", "true": "1", "0": "0", "0.0": "0", "false": "0"}.get(value.strip().casefold())
    if plain:
        return plain, ""
    unsure = ": an unknown value can be neither trained nor tested on" if value.strip().startswith("-1") else ""
    return value, f"is {value!r}, neither 1 nor 0{unsure}"


def _is_missing(value: str, column: Column) -> bool:
    # pandas writes a missing label as "nan" when it makes text of it; no one names a class or a group so.
    bare = value.strip()
    is_name = column.kind in ("label", "labels", "category") or column.role == "group"
    return not bare or (is_name and bare.casefold() == "nan")


def _missing_reason(value: str | None, column: Column) -> str:
    alone = ": give a row without a group one of its own, a value that no other row has" * (column.role == "group")
    if value is None:
        return f"has no value{alone}"
    if value.strip():
        return f"is {value!r}, a missing {'group' if alone else 'label'}{alone}"
    return f"is {'only white space' if value else 'empty'}{alone}"


def _unlisted_reason(value: str, labels: Collection[str], same: str | None) -> str:
    near = difflib.get_close_matches(value.strip().casefold(), [label.casefold() for label in labels], n=1)
    guess = same or next((label for label in labels if near and label.casefold() == near[0]), None)
    return f"is {value!r}, which is none of the labels wanted" + (f" (did you mean {guess!r}?)" if guess else "")
