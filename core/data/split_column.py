"""A column that says which split each row belongs to, as MedMNIST's tables and many others have it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow.compute as pc

from tunebook.config.schema import DataConfig
from tunebook.data.columns import Column
from tunebook.data.rows import Rows
from tunebook.errors import UserError

SPLIT = "split"
"""Role of the column."""
KEY = "data.split"
NAMES = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
"""What rows may say, in any case, and the split that it means."""


def split_columns(data: DataConfig) -> list[Column]:
    """The column that names each row's split, where one is given."""
    return [] if data.split is None else [Column(SPLIT, data.split, KEY, "split")]


def check_split(data: DataConfig) -> None:
    """Refuse a split column beside files that are splits themselves, or without training rows of the user's.

    Raises:
        UserError: As it says.
    """
    if data.split is None:
        return
    others = [f"data.{name}" for name in ("validation", "test") if getattr(data, name) is not None]
    if others:
        are = "are" if len(others) > 1 else "is"
        raise UserError(
            f"{' and '.join(others)} {are} given, and {KEY} splits the rows of data.train",
            code="config.conflict",
            where=KEY,
            fix=f"leave out {KEY}, or give one file with all rows: data.train=rows.csv",
        )
    if data.train is None:
        raise UserError(
            f"{KEY} names a column of your rows, and data.train is not set",
            code="data.no-source",
            where="data.train",
            fix="data.train=rows.csv",
        )


def split_name(value: str) -> tuple[str, str]:
    """The split that a row names, and what is wrong with it, or ""."""
    found = NAMES.get(value.strip().casefold())
    return (value, f"is {value[:40]!r}, which names no split ({', '.join(NAMES)})") if found is None else (found, "")


def parted(rows: Rows) -> dict[str, Rows]:
    """The checked rows of each split that occurs, in their order, without the column."""
    named = rows.column(SPLIT)
    plain = Rows(rows.table.drop_columns([SPLIT]), rows.split)
    found = {}
    for name in dict.fromkeys(NAMES.values()):
        inside = np.flatnonzero(pc.equal(named, name).to_numpy())
        if len(inside):
            found[name] = plain.take(inside, name)
    return found


def check_parts(parts: Mapping[str, Rows], column: str) -> None:
    """Refuse parts without training rows.

    Args:
        parts: The rows of each split that occurs.
        column: What their file calls the column.

    Raises:
        UserError: There are rows, and none to train on.
    """
    if parts and "train" not in parts:
        raise UserError(
            f"no row is for training: the column {column!r} has only {_counts(parts)}",
            code="data.no-usable-rows",
            where=KEY,
            fix=f"write train into {column!r} of the rows to train on, or leave out {KEY}",
        )


def counted(parts: Mapping[str, Rows], column: str) -> str:
    """How many rows each split got, in words."""
    return f"the column {column!r} splits the rows: {_counts(parts)}"


def _counts(parts: Mapping[str, Rows]) -> str:
    return ", ".join(f"{name} {len(rows)}" for name, rows in parts.items())
