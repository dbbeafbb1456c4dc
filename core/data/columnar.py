"""Parquet files and folders saved by `datasets`, read through Arrow batch by batch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tunebook.data.chunks import CHUNK_SIZE, Chunk, Reject, duplicate_column, empty_file, missing_column
from tunebook.data.columns import Column, read_names
from tunebook.data.unpacking import ALWAYS, check_rows, check_unpacked
from tunebook.data.unread import COLUMNS, Unread
from tunebook.data.values import as_text, without_missing
from tunebook.errors import UserError
from tunebook.untrusted import read_object

_KEPT = ("state.json", "dataset_info.json")
"""What `datasets` keeps beside the rows of a folder."""
# What Arrow raises on broken files: it has no error of its own for them.
_DAMAGED = (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, OSError, ValueError, KeyError)


def read_parquet(
    plain: Path, path: Path, columns: Sequence[Column], reject: Reject, rows: int, unread: Unread
) -> Iterator[Chunk]:
    """Stream a Parquet file.

    Args:
        plain: The file to read: ``path``, or what it was unpacked to.
        path: The file as the user knows it.
        columns: The columns wanted.
        reject: Takes the rows that cannot be read.
        rows: Most rows in a chunk.
        unread: Counts the columns that are not wanted.
    """
    try:
        file = pq.ParquetFile(plain, memory_map=True)
        repeated = _repeated(file.metadata, rows)
        if repeated:  # each value once, however many rows have it
            file = pq.ParquetFile(plain, memory_map=True, read_dictionary=repeated)
        schema = file.schema_arrow
    except _DAMAGED as error:
        raise _damaged_parquet(path, error) from None
    with file:
        size = plain.stat().st_size
        check_rows(path, size, file.metadata.num_rows)
        if not file.metadata.num_rows:
            raise empty_file(path, "has no rows")
        present = _present(columns, schema, path)
        _count_beside(columns, file, unread)
        batches = _parquet_batches(file, rows, [column.name for column in present], path)
        yield from _chunks(batches, columns, _stored_names(schema), reject, path, size)


def _beside(columns: Sequence[Column], names: Sequence[str]) -> list[str]:
    """The columns of a file that are not wanted; one of a name that occurs twice cannot be told from its namesake."""
    wanted = read_names(columns)
    return [name for name in names if name not in wanted and names.count(name) == 1]


def _count_beside(columns: Sequence[Column], file: pq.ParquetFile, unread: Unread) -> None:
    """Count the unwanted columns from the metadata, without reading them."""
    schema = file.schema_arrow
    names = [name for name in _beside(columns, schema.names) if not pa.types.is_null(schema.field(name).type)]
    missing = dict.fromkeys(names, 0)
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        for column in map(group.column, range(group.num_columns)):
            known = column.statistics
            if column.path_in_schema in missing and known is not None and known.has_null_count:
                missing[column.path_in_schema] += known.null_count
    for name in names:
        unread.count(COLUMNS, name, file.metadata.num_rows - missing[name])


def _repeated(metadata: pq.FileMetaData, rows: int) -> list[str]:
    """The columns of text of which a batch of ``rows`` could hold gigabytes: few long values that many rows share."""
    found = set()
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for column in map(group.column, range(group.num_columns)):
            large = column.total_uncompressed_size * min(group.num_rows, rows) > ALWAYS
            if column.physical_type == "BYTE_ARRAY" and column.has_dictionary_page and large:
                found.add(column.path_in_schema)
    return sorted(name for name in found if "." not in name)


def _parquet_batches(file: pq.ParquetFile, rows: int, names: list[str], path: Path) -> Iterator[pa.RecordBatch]:
    """The batches of a file, of which any page may be damaged."""
    try:
        yield from file.iter_batches(rows, columns=names)
    except _DAMAGED as error:
        raise _damaged_parquet(path, error) from None


def _damaged_parquet(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{path.name} is not a readable Parquet file: {' '.join(str(error).split())}",
        code="data.damaged-file",
        where=str(path),
        fix="fetch or write it again",
    )


def _stored_names(schema: pa.Schema) -> dict[str, list[str]]:
    """The class names that `datasets` keeps in a file's metadata; none where these are not its own."""
    try:
        stored = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        return _class_names(stored.get("info", {}).get("features") or {})
    except (ValueError, AttributeError, RecursionError):
        return {}


def read_dataset(path: Path, columns: Sequence[Column], reject: Reject, rows: int, unread: Unread) -> Iterator[Chunk]:
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
    files = _data_files(state, path)
    size = sum(file.stat().st_size for file in files if file.is_file())
    unread.count_files(file for file in sorted(path.iterdir()) if file.name not in _KEPT and file not in files)
    batches = _arrow_batches(files, columns, path, rows, size, unread)
    seen = False
    for chunk in _chunks(batches, columns, names, reject, path, size):
        seen = True
        yield chunk
    if not seen:
        raise empty_file(path, "has no readable rows")


def _check_buffers(batch: pa.RecordBatch) -> None:
    """Refuse offsets that lead out of their buffer, which nobody looks at otherwise; what is no UTF-8 is a row's fault.

    Raises:
        ArrowInvalid: There are some.
    """
    raw = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}
    for column in batch.columns:
        (column.view(raw[column.type]) if column.type in raw else column).validate(full=True)


def _data_files(state: dict[str, Any], path: Path) -> list[Path]:
    """The files of a saved dataset, which lie in its folder."""
    try:
        names = [part["filename"] for part in state["_data_files"]]
        if any(Path(name).name != name for name in names):
            raise ValueError("a data file lies outside of the folder")
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged_dataset(path / "state.json", error) from None
    return [path / name for name in names]


def _arrow_batches(
    files: list[Path], columns: Sequence[Column], path: Path, rows: int, size: int, unread: Unread
) -> Iterator[pa.RecordBatch]:
    total = 0
    for file in files:
        try:
            with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as stream:
                present = [column.name for column in _present(columns, stream.schema, path)]
                beside = _beside(columns, stream.schema.names)
                for batch in stream:
                    for name in beside:
                        unread.count(COLUMNS, name, len(batch) - batch.column(name).null_count)
                    total += len(batch)
                    check_rows(path, size, total)
                    needed = batch.select(present)
                    _check_buffers(needed)
                    for start in range(0, len(needed), rows):
                        yield needed.slice(start, rows)
        except _DAMAGED as error:
            raise _damaged_dataset(file, error) from None


def _json(path: Path) -> dict[str, Any]:
    try:
        return read_object(path)
    except (OSError, ValueError) as error:
        raise _damaged_dataset(path, error) from None


def _damaged_dataset(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{path} cannot be read: {' '.join(str(error).split())}",
        code="data.damaged-file",
        where=str(path),
        fix="save the dataset again",
    )


def _present(columns: Sequence[Column], schema: pa.Schema, path: Path) -> list[Column]:
    """The wanted columns that the file has; each one's absence or wrong type is reported."""
    present = []
    for column in columns:
        if schema.names.count(column.name) > 1:
            raise duplicate_column(column.name, path)
        if column.name in schema.names:
            kind = schema.field(column.name).type
            if column.kind not in ("any", "labels") and pa.types.is_nested(kind):
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
    found = features.items() if isinstance(features, dict) else ()
    return {
        name: feature["names"]
        for name, feature in found
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and isinstance(feature.get("names"), list)
    }


def _chunks(
    batches: Iterator[pa.RecordBatch],
    columns: Sequence[Column],
    names: dict[str, list[str]],
    reject: Reject,
    path: Path,
    size: int,
) -> Iterator[Chunk]:
    first, read = 1, 0
    for batch in batches:
        chunk = Chunk.empty(columns)
        values = [
            _values(batch.column(column.name)) if column.name in batch.schema.names else [None] * len(batch)
            for column in columns
        ]
        for line, row in enumerate(zip(*values, strict=True), start=first):
            texts = _texts(row, line, columns, names, reject)
            if texts is not None:
                chunk.append(columns, texts, line)
            if chunk.size >= CHUNK_SIZE:
                read += chunk.size
                check_unpacked(path, size, read)
                yield chunk
                chunk = Chunk.empty(columns)
        first += len(batch)
        if chunk.lines:
            read += chunk.size
            check_unpacked(path, size, read)
            yield chunk


def _values(column: pa.Array) -> list[Any]:
    """A column's values; as bytes where they are texts and one of them is not UTF-8."""
    if pa.types.is_dictionary(column.type):
        used = column.indices.drop_null().unique()  # the dictionary is that of the whole file
        values = dict(zip(used.to_pylist(), _values(column.dictionary.take(used)), strict=True))
        return [None if index is None else values[index] for index in column.indices.to_pylist()]
    try:
        found: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        found = column.cast(pa.binary()).to_pylist()
    return found


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
                texts.append(as_text(without_missing(value), nested=column.nested))
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
