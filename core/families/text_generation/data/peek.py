"""The names of a file's columns, from its first rows."""

from __future__ import annotations

import csv
import io
import json
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from tunebook.data.delimiters import open_table
from tunebook.data.formats import open_bytes, read_batches
from tunebook.data.lines import byte_lines
from tunebook.data.unpacking import open_gzip
from tunebook.errors import UserError

OBJECTS = 100
"""Objects of JSON Lines whose keys are looked at."""


def column_names(path: Path, delimiter: str | None = None) -> list[str]:
    """Name the columns of a file or `datasets` folder; of JSON Lines the keys with a value in the first objects.

    Args:
        path: The file or folder.
        delimiter: What separates the columns of CSV files (default: a comma).

    Raises:
        UserError: The file cannot be read.
    """
    if path.is_dir():
        return _dataset_columns(path)
    # The reader knows all that can be wrong with a file, and how to say it.
    with closing(cast(Any, read_batches(path, [], _ignored, rows=OBJECTS, delimiter=delimiter))) as chunks:
        next(chunks, None)
    if path.name.lower().removesuffix(".gz").endswith(".parquet"):
        return _parquet_columns(path)
    with open_bytes(path) as file:
        return _keys(file, path) if is_jsonlines(path) else _header(file, path, delimiter)


def is_jsonlines(path: Path) -> bool:
    """Whether each line is an object with keys of its own: there is no header."""
    return path.name.lower().removesuffix(".gz").endswith((".jsonl", ".ndjson", ".json"))


def _header(file: BinaryIO, path: Path, delimiter: str | None) -> list[str]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="")
    _, rest, mark = open_table(text, path, delimiter)
    header = next(row for row in csv.reader(rest, delimiter=mark, strict=True) if row)
    text.detach()
    return header


def _keys(file: BinaryIO, path: Path) -> list[str]:
    names: dict[str, None] = {}
    seen = 0
    for line in byte_lines(file, path.name):
        try:
            record = json.loads(line.decode("utf-8-sig"))
        except (ValueError, RecursionError):  # a row for the rejects
            continue
        if isinstance(record, dict):
            names.update((name, None) for name, value in record.items() if value is not None)
            seen += 1
        if seen == OBJECTS:
            break
    if not names:
        raise UserError(
            f"no line of {path.name} is a JSON object with a value",
            code="data.damaged-file",
            where=str(path),
            fix="fix the file",
        )
    return list(names)


def _parquet_columns(path: Path) -> list[str]:
    with open_gzip(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
        names: list[str] = pq.read_schema(file).names
    return names


def _dataset_columns(path: Path) -> list[str]:
    try:
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
        with (
            pa.memory_map(str(path / state["_data_files"][0]["filename"])) as source,
            pa.ipc.open_stream(source) as stream,
        ):
            names: list[str] = stream.schema.names
    except (pa.ArrowInvalid, OSError, ValueError, KeyError, IndexError) as error:
        raise UserError(
            f"{path} cannot be read: {error}", code="data.damaged-file", where=str(path), fix="save the dataset again"
        ) from None
    return names


def _ignored(line: int, field: str, reason: str, text: str) -> None:
    """Bad rows are for the gate to count."""
