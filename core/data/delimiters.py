"""What separates the columns of a CSV or TSV file, and the message where it is another character than expected."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from tunebook.data.columns import Column
from tunebook.data.lines import TextLines
from tunebook.errors import UserError

KEY = "data.delimiter"
USUAL = (",", ";", "\t", "|")
"""What separates columns in the files that programs write."""
_DECLARATION = re.compile(r'"?sep=([^"\r\n])"?\r?\n?', re.IGNORECASE)
"""Excel's first line of a CSV file: not a row, but what separates the columns."""


def parse_delimiter(given: str | None, key: str = KEY) -> str | None:
    r"""The character that is meant by ``;`` or ``\t``; None where nothing is given.

    Raises:
        UserError: It is no one character, or one that separates rows or quotes texts.
    """
    if given is None:
        return None
    meant = "\t" if given == "\\t" else given
    if len(meant) == 1 and meant not in '"\r\n\0' and not meant.isalnum():
        return meant
    raise UserError(
        f"{key} must be one character that is no letter, digit or quote, not {given!r}.",
        code="config.out-of-range",
        where=key,
        fix=f"{typed(';', key)}, or leave it out",
    )


def typed(delimiter: str, key: str = KEY) -> str:
    """How a delimiter is typed in a shell."""
    return f"{key}='{_shown(delimiter)}'"


def is_tsv(path: Path) -> bool:
    """Whether the file's name says that tabs separate its columns."""
    return path.name.lower().removesuffix(".gz").endswith(".tsv")


def open_table(text: io.TextIOWrapper, path: Path, given: str | None) -> tuple[TextLines, Iterator[str], str]:
    """The lines of a file, those from its header on, and what separates its columns.

    That is a tab in a ``.tsv`` file, else the character that Excel's line ``sep=;`` or ``given`` says, else a comma.

    Raises:
        UserError: The file says another one than ``given``.
    """
    lines = TextLines(text, path)
    rest = iter(lines)
    first = next(rest, "")
    declared = _DECLARATION.fullmatch(first)
    if declared is None:
        return lines, chain([first] if first else [], rest), _usual(path, given)
    if given is not None and declared[1] != given and not is_tsv(path):
        raise UserError(
            f"{path.name} begins with {first.strip()!r}, and {typed(given)} says otherwise",
            code="data.wrong-separator",
            where=f"{path}:1",
            fix=f"leave {KEY} out, or remove that line",
        )
    return lines, rest, declared[1]


def wrong_delimiter(
    columns: Sequence[Column], header: Sequence[str], delimiter: str, path: Path, given: str | None = None
) -> UserError | None:
    """The error for a header that another character separates: it then has the columns wanted, or any but one.

    Args:
        columns: The columns wanted.
        header: The header's names, separated by ``delimiter``.
        delimiter: What separated them.
        path: The file.
        given: What ``data.delimiter`` says.

    Returns:
        None where no other character would do.
    """
    needed = {column.name for column in columns if column.required}
    line = delimiter.join(header)
    for other in USUAL:
        if other == delimiter or other not in line:
            continue
        names = next(csv.reader([line], delimiter=other))
        if len(header) > 1 and not (needed and needed <= set(names)):
            continue
        fix = way_out(other, path)
        if given is not None and not is_tsv(path):
            fix = f"{fix}, or write all files with one delimiter"
        listing = ", ".join(name or '""' for name in names)
        return UserError(
            f"{path.name} separates its columns by another character than '{_shown(delimiter)}': '{_shown(other)}'",
            code="data.wrong-separator",
            where=str(path),
            fix=f"{fix}; its columns: {listing}",
        )
    return None


def parted_otherwise(names: Sequence[str], path: Path, given: str | None) -> UserError | None:
    """The error for a CSV or TSV file whose one column looks like several; None for any other.

    Args:
        names: The names of its columns.
        path: The file.
        given: What ``data.delimiter`` says.
    """
    table = path.name.lower().removesuffix(".gz").endswith((".csv", ".tsv"))
    return wrong_delimiter([], names, _usual(path, given), path, given) if table and len(names) == 1 else None


def _usual(path: Path, given: str | None) -> str:
    return "\t" if is_tsv(path) else given or ","


def way_out(delimiter: str, path: Path) -> str:
    """What is typed to read a file whose columns ``delimiter`` separates."""
    if not is_tsv(path):
        return typed(delimiter)
    renamed = re.sub(r"\.tsv", ".csv", path.name, flags=re.IGNORECASE)
    return f"call it {renamed}" + (f", with {typed(delimiter)}" if delimiter != "," else "")


def _shown(delimiter: str) -> str:
    return "\\t" if delimiter == "\t" else delimiter
