"""Where the rows of a run are: what the config names or the recipe brings, and whether it can be read at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunebook.config.schema import DataConfig
from tunebook.data.columns import Column
from tunebook.data.file_source import file_source
from tunebook.data.formats import read_batches
from tunebook.data.paths import named_paths, resolve_paths
from tunebook.data.split_column import check_split
from tunebook.errors import UserError

SPLITS = ("train", "validation", "test")
SAMPLES = "sample rows of the recipe"
MOST_LOOSE = 5
"""Files beside the splits of a folder that a note names."""


def sources_of(
    config: DataConfig, samples: Mapping[str, Path] | None, columns: Sequence[Column]
) -> tuple[dict[str, Any], str, list[str]]:
    """Split to what names its rows, for the splits that are given; a word on where they are from; and notes.

    Raises:
        UserError: There are no training rows, or what names some is no path.
    """
    check_split(config)
    given = {name: getattr(config, name) for name in SPLITS if getattr(config, name) is not None}
    notes = []
    files = file_source(columns)
    if list(given) == ["train"] and files is not None:
        brought = files.splits(given["train"])
        if brought and config.split is not None:
            raise UserError(
                f"{given['train']} brings its own splits, and has no column {config.split!r}",
                code="config.conflict",
                where="data.split",
                fix="leave out data.split",
            )
        if brought:
            loose = _loose_files(Path(given["train"]).expanduser())
            beside = f"; the files beside them are not read: {', '.join(loose)}" if loose else ""
            notes = [f"{given['train']} brings its own splits: {', '.join(brought)}{beside}"]
            given = {name: brought[name] for name in SPLITS if name in brought}
    if "train" in given:
        listed = (",".join(named_paths(value, f"data.{name}")) for name, value in given.items())
        return given, ", ".join(dict.fromkeys(listed)), notes
    if given:
        raise UserError(
            f"data.{next(iter(given))} is set and data.train is not",
            code="data.no-source",
            where="data.train",
            fix="data.train=rows.csv",
        )
    if not samples:
        raise UserError(
            "no training rows are given", code="data.no-source", where="data.train", fix="data.train=rows.csv"
        )
    return dict(samples), SAMPLES, notes


def _loose_files(path: Path) -> list[str]:
    """The names of the first files that lie in a folder of splits, and in none of them."""
    names = sorted(file.name for file in path.iterdir() if file.is_file()) if path.is_dir() else []
    return names if len(names) <= MOST_LOOSE else [*names[:MOST_LOOSE], f"and {len(names) - MOST_LOOSE} more"]


def check_readable(
    spec: Any, key: str, columns: Sequence[Column], split: str = "rows", delimiter: str | None = None
) -> None:
    """Begin to read what a config value names, and no more: a mistake in a path or a column shows in the first rows.

    Args:
        spec: What the config says: see `resolve_paths`.
        key: The config key that says it.
        columns: The columns to read.
        split: Name of the rows.
        delimiter: What separates the columns of CSV files (``data.delimiter``; default: a comma).

    Raises:
        UserError: A source is missing, lacks a column or cannot be read.
    """
    for path in resolve_paths(spec, key, folders=file_source(columns) is not None):
        if path.is_file() or path.is_dir():  # a pipe can be read only once
            next(read_batches(path, columns, lambda *row: None, split=split, delimiter=delimiter), None)
