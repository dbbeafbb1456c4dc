"""Parquet files and folders saved by `datasets`, read through Arrow batch by batch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tunebook.data.chunks import Chunk, Reject, duplicate_column, empty_file, missing_column
from tunebook.data.columns import Column
from tunebook.data.values import as_text
from tunebook.errors import UserError


def read_parquet(plain: Path, path: Path, columns: Sequence[Column], reject: Reject, rows: int) -> Iterator[Chunk]:
    """Stream a Parquet file.

    Args:
        plain: The file to read: ``path``, or what it was unpacked to.
        path: The file as the user knows it.
        columns: The columns wanted.
        reject: Takes the rows that cannot be read.
        rows: Most rows in a chunk.
    """
    try:
        file = pq.ParquetFile(plain, memory_map=True)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(
            f"{path.name} is not a readable Parquet file: {error}",
            code="data.damaged-file",
            where=str(path),
            fix="fetch or write it again",
        ) from None
    with file:
        schema = file.schema_arrow
        if not file.metadata.num_rows:
            raise empty_file(path, "has no rows")
        present = _present(columns, schema, path)
        stored = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        names = _class_names(stored.get("info", {}).get("features") or {})
        batches = file.iter_batches(rows, columns=[column.name for column in present])
        yield from _chunks(batches, columns, names, reject)


def read_dataset(path: Path, columns: Sequence[Column], reject: Reject, rows: int) -> Iterator[Chunk]:
    """Stream a folder saved by `Dataset.save_to_disk`; labels of a `ClassLabel` feature get their names."""
    state = _json(path / "state.json")
    if state.get("_indices_files") or state.get("_indices_data_files"):
        raise UserError(
            f"{path} is a view on other rows",
            code="data.indexed-dataset",
            where=str(path),
            fix="dataset.flatten_indices().save_to_disk(...)",
        )
    names = _class_names(_json(path / "dataset_info.json").get("features") or {})
    files = [path / part["filename"] for part in state["_data_files"]]
    batches = _arrow_batches(files, columns, path, rows)
    seen = False
    for chunk in _chunks(batches, columns, names, reject):
        seen = True
        yield chunk
    if not seen:
        raise empty_file(path, "has no readable rows")


def _arrow_batches(files: list[Path], columns: Sequence[Column], path: Path, rows: int) -> Iterator[pa.RecordBatch]:
    for file in files:
        try:
            with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as stream:
                present = [column.name for column in _present(columns, stream.schema, path)]
                for batch in stream:
                    needed = batch.select(present)
                    for start in range(0, len(needed), rows):
                        yield needed.slice(start, rows)
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(
                f"{file.name} of {path} cannot be read: {error}",
                code="data.damaged-file",
                where=str(path),
                fix="save the dataset again",
            ) from None


def _json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read: {error}", code="data.damaged-file", where=str(path), fix="save the dataset again"
        ) from None
    return content


def _present(columns: Sequence[Column], schema: pa.Schema, path: Path) -> list[Column]:
    """The wanted columns that the file has; each one's absence or wrong type is reported."""
    present = []
    for column in columns:
        if schema.names.count(column.name) > 1:
            raise duplicate_column(column.name, path)
        if column.name in schema.names:
            kind = schema.field(column.name).type
            if column.kind != "any" and pa.types.is_nested(kind):
                raise UserError(
                    f"{path.name}: the column {column.name!r} holds {kind}, not text",
                    code="data.nested-column",
                    where=column.key,
                    fix=f"choose another column: {column.chosen('<column>')}",
                )
            present.append(column)
        elif column.required:
            raise missing_column(column, path, schema.names)
    return list({column.name: column for column in present}.values())


def _class_names(features: dict[str, Any]) -> dict[str, list[str]]:
    """The names behind the integers of each `ClassLabel` column."""
    return {
        name: feature["names"]
        for name, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
    }


def _chunks(
    batches: Iterator[pa.RecordBatch], columns: Sequence[Column], names: dict[str, list[str]], reject: Reject
) -> Iterator[Chunk]:
    first = 1
    for batch in batches:
        chunk = Chunk.empty(columns)
        values = [
            batch.column(column.name).to_pylist() if column.name in batch.schema.names else [None] * len(batch)
            for column in columns
        ]
        for line, row in enumerate(zip(*values, strict=True), start=first):
            texts = _texts(row, line, columns, names, reject)
            if texts is not None:
                chunk.append(columns, texts, line)
        first += len(batch)
        if chunk.lines:
            yield chunk


def _texts(
    row: tuple[Any, ...], line: int, columns: Sequence[Column], names: dict[str, list[str]], reject: Reject
) -> list[str | None] | None:
    """The row's values as text, or None when one of them has no text."""
    texts = []
    for column, value in zip(columns, row, strict=True):
        try:
            if column.name in names:
                texts.append(_class_name(value, names[column.name]))
            else:
                texts.append(as_text(value, nested=column.kind == "any"))
        except ValueError as error:
            reject(line, column.name, str(error), repr(value))
            return None
    return texts


def _class_name(value: Any, names: list[str]) -> str | None:
    """Name a class; `datasets` writes -1 for a row without a label."""
    if value is None or value == -1:
        return None
    if not isinstance(value, int) or not 0 <= value < len(names):
        raise ValueError(f"is class {value!r}, and there are only {len(names)} class names")
    return names[value]
