"""What the readers of all formats share: the chunk of rows they yield and the errors they raise."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunebook.data.columns import Column
from tunebook.errors import UserError

CHUNK_SIZE = 1 << 24
"""Characters after which a chunk is full whatever its rows."""
Reject = Callable[[int, str, str, str], None]
"""Takes a row that cannot be read: line, field, reason, excerpt."""


@dataclass
class Chunk:
    """Some successive rows of one file.

    Attributes:
        values: Role to one value a row, all as text; None where the row has no value.
        lines: Physical line that each row starts on, from 1 (Parquet and `datasets`: row number, from 1).
        size: Characters in all values.
    """

    values: dict[str, list[str | None]]
    lines: list[int]
    size: int = 0

    @classmethod
    def empty(cls, columns: Sequence[Column]) -> Chunk:
        """A chunk to be filled."""
        return cls({column.role: [] for column in columns}, [])

    def append(self, columns: Sequence[Column], row: Sequence[str | None], line: int) -> None:
        """Add a row: one value a column, in the order of ``columns``."""
        for column, value in zip(columns, row, strict=True):
            self.values[column.role].append(value)
            self.size += len(value or "")
        self.lines.append(line)

    def is_full(self, rows: int) -> bool:
        """Whether it is time for the next one: enough rows, or fewer very long ones."""
        return len(self.lines) >= rows or self.size >= CHUNK_SIZE


def missing_column(column: Column, path: Path, names: Sequence[str]) -> UserError:
    """The error for a file that lacks a column, with the nearest name it has."""
    near = difflib.get_close_matches(column.name, names, n=1, cutoff=0.5)
    same = [name for name in names if name.strip().casefold() == column.name.strip().casefold()]
    guess = (same or near or [""])[0]
    fix = f"did you mean {column.chosen(guess)}? " if guess else f"{column.chosen('<column>')}; "
    if not column.chosen(""):
        fix = f"rename {guess!r} to {column.name!r}; " if guess else f"call a column {column.name!r}; "
    listing = "its columns: " + ", ".join(name or '""' for name in names)
    what, where = f"{path.name} has no column {column.name!r}", column.key if column.chosen("") else str(path)
    return UserError(what, code="data.missing-column", where=where, fix=f"{fix}{listing}")


def duplicate_column(name: str, path: Path) -> UserError:
    """The error for a header that names one column twice."""
    return UserError(
        f"{path.name} names the column {name!r} more than once",
        code="data.duplicate-column",
        where=f"{path}:1",
        fix="rename one of them",
    )


def empty_file(path: Path, what: str = "is empty") -> UserError:
    """The error for a file without rows."""
    return UserError(
        f"{path.name} {what}", code="data.empty-file", where=str(path), fix="give a file with a header and rows"
    )
