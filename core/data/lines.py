"""Lines of files that may be anything: a row that does not end is an error, and never in memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from tunebook.errors import UserError

LONGEST_ROW = 1 << 24
"""Characters (of bytes: bytes) after which a row is no row."""
MOST_BLANK = 1_000_000
"""Blank lines in a row after which a file is no file of rows."""


def byte_lines(file: BinaryIO, name: str) -> Iterator[bytes]:
    """The lines of a file of one row a line, with their line ends.

    Args:
        file: The file.
        name: What messages call it.

    Raises:
        UserError: A line is longer than `LONGEST_ROW`, or the blank ones do not end.
    """
    blank = 0
    for number, line in enumerate(iter(partial(file.readline, LONGEST_ROW + 1), b""), start=1):
        if len(line) > LONGEST_ROW:
            raise _too_long(name, number)
        blank = blank + 1 if len(line) < 3 and line.isspace() else 0
        if blank > MOST_BLANK:
            raise _all_blank(name, number)
        yield line


class TextLines:
    """The lines of a file in which a row may take several.

    Args:
        text: The file.
        path: What messages call it.
    """

    def __init__(self, text: io.TextIOWrapper, path: Path) -> None:
        self._read, self._path = partial(text.readline, LONGEST_ROW + 1), path
        self._count = self._size = self._blank = 0
        self._first = 1

    def start_row(self) -> int:
        """The number of the line that the next row starts on."""
        self._first, self._size = self._count + 1, 0
        return self._first

    def __iter__(self) -> Iterator[str]:
        """The lines, as long as the row that they belong to is not too long.

        Raises:
            UserError: It is.
        """
        for line in iter(self._read, ""):
            self._count += 1
            self._size += len(line)
            if self._size > LONGEST_ROW and self._count > self._first:
                raise never_closed(self._path, self._first, self._count)
            if self._size > LONGEST_ROW:
                raise _too_long(self._path.name, self._first)
            self._blank = self._blank + 1 if len(line) < 3 and line.isspace() else 0
            if self._blank > MOST_BLANK:
                raise _all_blank(self._path.name, self._count)
            yield line


def never_closed(path: Path, first: int, last: int) -> UserError:
    """The error for a quote that takes in all lines after it."""
    return UserError(
        f"a quote is opened and never closed: lines {first} to {last} would be one field",
        code="data.unclosed-quote",
        where=f"{path.name}:{first}",
        fix='close it, or write a quote that belongs to the text twice: ""',
    )


def _all_blank(name: str, line: int) -> UserError:
    return UserError(
        f"more than {MOST_BLANK:,} blank lines follow each other",
        code="data.blank-lines",
        where=f"{name}:{line}",
        fix="is this a file of rows? remove the blank lines",
    )


def _too_long(name: str, line: int) -> UserError:
    return UserError(
        f"the row on line {line} is longer than {LONGEST_ROW:,} characters",
        code="data.row-too-long",
        where=f"{name}:{line}",
        fix="is this a file of rows, and does each end in a line break?",
    )
