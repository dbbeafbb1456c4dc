"""Rows that are files: how a family finds them, reads them and finds the file that a row names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunebook.data.chunks import Chunk
    from tunebook.data.columns import Column
    from tunebook.data.unread import Unread


@dataclass(frozen=True)
class FileSource:
    """What a family knows of sources whose rows are files, such as a folder of images.

    Attributes:
        holds: Whether a path is such a source; tables that name files are none.
        read: The rows of such a source, for the columns wanted, of a split; counts the files that it passes over.
        locate: The full path of a file as a row names it, beside the folder that it is relative to; and what is
            wrong with it, or "".
        splits: The splits that a config value brings along, by name; empty where it brings none.
        hint: What to try where files that rows name are not found.
    """

    holds: Callable[[Path], bool]
    read: Callable[[Path, Sequence[Column], str, Unread], Iterator[Chunk]]
    locate: Callable[[str, Path | None], tuple[str, str]]
    splits: Callable[[Any], dict[str, str]]
    hint: str


def file_source(columns: Sequence[Column]) -> FileSource | None:
    """The source of the first column whose values are files; None where there is no such column."""
    return next((column.files for column in columns if column.files is not None), None)
