"""CSV and TSV, row by row with the physical line of each.

Python's reader is used and not Arrow's: `pyarrow.csv` numbers records instead of lines, and takes an unclosed
quote or text after a closing one without a word. Here both are rejects.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tunebook.data.chunks import Chunk, Reject, duplicate_column, empty_file, missing_column
from tunebook.data.columns import Column, read_names
from tunebook.data.delimiters import open_table, wrong_delimiter
from tunebook.data.lines import LONGEST_ROW, TextLines, never_closed
from tunebook.data.unread import COLUMNS, Unread
from tunebook.data.values import not_utf8
from tunebook.errors import UserError

if TYPE_CHECKING:
    from _csv import Reader

MOST_LINES = 100
"""Lines from which a row is not believed: a stray quote and the next one make one field of all between them."""
BOM = "\ufeff"
UNDECODED = re.compile("[\udc80-\udcff]")
"""What the error handler "surrogateescape" makes of bytes that are not UTF-8."""


def read_delimited(
    file: BinaryIO,
    path: Path,
    columns: Sequence[Column],
    reject: Reject,
    rows: int,
    unread: Unread,
    delimiter: str | None = None,
) -> Iterator[Chunk]:
    """Stream a CSV or TSV file: RFC 4180 quoting, no types, blank lines skipped but counted.

    Args:
        file: The file, unpacked.
        path: The file as the user knows it.
        columns: The columns wanted.
        reject: Takes the rows that cannot be read.
        rows: Most rows in a chunk.
        unread: Counts what nothing reads.
        delimiter: What separates the columns of a CSV file (``data.delimiter``).
    """
    # newline="" leaves the line ends inside quoted fields as they are.
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    lines, rest, mark = open_table(text, path, delimiter)
    reader = csv.reader(rest, delimiter=mark, strict=True)
    previous_limit = csv.field_size_limit(LONGEST_ROW)
    try:
        header = _header(reader, path)
        places = _places(columns, header, path, mark, delimiter)
        named = read_names(columns)
        beside = [place for place, name in enumerate(header) if name not in named]
        filled = [0] * len(header)
        chunk = Chunk.empty(columns)
        empty = True
        for line, row in _records(reader, lines, reject, path):
            empty = False
            if row is not None and _readable(row, line, header, columns, places, reject):
                chunk.append(columns, [None if place is None else row[place] for place in places], line)
                for place in beside:
                    if row[place]:
                        filled[place] += 1
            if chunk.is_full(rows):
                yield chunk
                chunk = Chunk.empty(columns)
        for place in beside:
            unread.count(COLUMNS, header[place], filled[place])
        if chunk.lines:
            yield chunk
        if empty:
            raise empty_file(path, "has a header and no rows")
    finally:
        csv.field_size_limit(previous_limit)
        text.detach()


def _header(reader: Reader, path: Path) -> list[str]:
    try:
        header = next((row for row in reader if row), None)
    except csv.Error as error:
        raise UserError(
            f"{path.name}: the header {_problem(error)}",
            code="data.bad-header",
            where=f"{path}:1",
            fix="fix its quotes",
        ) from None
    if header is None:
        raise empty_file(path)
    for name in header:
        if UNDECODED.search(name):
            raise UserError(
                f"{path.name}: the column {_readable_name(name)!r} {_undecoded(name)}",
                code="data.not-utf8",
                where=f"{path}:1",
                fix=f"iconv -f cp1252 -t utf-8 {path.name} > utf8-{path.name}",
            )
        if name and header.count(name) > 1:
            raise duplicate_column(name, path)
    return header


def _places(
    columns: Sequence[Column], header: list[str], path: Path, mark: str, delimiter: str | None
) -> list[int | None]:
    """Where in a row each column stands; None for an optional one that the file lacks."""
    for column in columns:
        if column.name not in header and column.required:
            raise wrong_delimiter(columns, header, mark, path, delimiter) or missing_column(column, path, header)
    return [header.index(column.name) if column.name in header else None for column in columns]


def _records(reader: Reader, lines: TextLines, reject: Reject, path: Path) -> Iterator[tuple[int, list[str] | None]]:
    """Yield the line that a record starts on and its fields, or None in place of one that was rejected.

    Raises:
        UserError: A quote that is never closed. It takes all rows after it with it, an unknown number, so that it
            cannot count as one reject.
    """
    while True:
        line = lines.start_row()
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end" in str(error) or "field limit" in str(error):
                raise never_closed(path, line, reader.line_num) from None
            reject(line, "", _problem(error), "")
            yield line, None
            continue
        if reader.line_num - line >= MOST_LINES:
            reject(
                line, "", f"spans {reader.line_num - line + 1} lines: is a quote in it stray?", row[0] if row else ""
            )
            yield line, None
        elif row:
            yield line, row


def _problem(error: csv.Error) -> str:
    message = str(error)
    if "expected after" in message:
        return "continues after a closing quote (inside a quoted field a quote is written twice)"
    # Python 3.10 refuses a NUL where later ones read it.
    return "holds a NUL character" if "NUL" in message else message


def _readable(
    row: list[str], line: int, header: list[str], columns: Sequence[Column], places: list[int | None], reject: Reject
) -> bool:
    if len(row) != len(header):
        reject(line, "", f"has {len(row)} fields where the header has {len(header)}", ",".join(row))
        return False
    if row == header or (row[0].startswith(BOM) and [row[0].removeprefix(BOM), *row[1:]] == header):
        reject(line, "", "repeats the header: were files with headers put together?", ",".join(row))
        return False
    for column, place in zip(columns, places, strict=True):
        if place is None or row[place].isascii():
            continue
        problem = _undecoded(row[place])
        if problem:
            reject(line, column.name, problem, row[place])
            return False
    return True


def _readable_name(name: str) -> str:
    """A column's name with what stands in it in the encoding of Windows."""
    return name.encode("utf-8", "surrogateescape").decode("cp1252", "replace")


def _undecoded(value: str) -> str:
    """Say which byte of a field is not UTF-8, or nothing."""
    found = UNDECODED.search(value)
    if found is None:
        return ""
    return not_utf8(ord(found.group()) - 0xDC00, len(value[: found.start()].encode("utf-8")))
