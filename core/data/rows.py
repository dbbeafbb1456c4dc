"""ValidatedData rows of one split, on disk and memory-mapped, each with the place it came from."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tunebook.errors import UserError

FILE, LINE = "file", "line"
"""Columns that every split has besides its roles."""
IMAGE, PIXELS = "image", "pixels"
"""Roles of images: where each is, and the digest of its pixels once it was looked at."""


class Rows:
    """The rows of one split: a table of text columns (one a role), ``file`` and ``line``.

    The table lies in a scratch file; only what is looked at is in memory.

    Attributes:
        split: "train", "validation", "test" or what `read_rows` was told.
        table: One string column a role, ``file`` (dictionary of strings), ``line`` (int64).
    """

    def __init__(self, table: pa.Table, split: str) -> None:
        self.table = table
        self.split = split

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that these rows have a column for."""
        return tuple(name for name in self.table.column_names if name not in (FILE, LINE))

    def column(self, role: str) -> pa.ChunkedArray:
        """One column, memory-mapped (``file`` and ``line`` too)."""
        return self.table.column(role)

    def texts(self, role: str) -> list[str]:
        """One column in memory; a missing value of an optional column is ""."""
        return [value or "" for value in self.column(role).to_pylist()]

    @property
    def lines(self) -> list[int]:
        """The line of each row in its file."""
        return [int(line) for line in self.column(LINE).to_pylist()]

    @property
    def places(self) -> list[tuple[str, int]]:
        """File and line of each row."""
        return list(zip(self.texts(FILE), self.lines, strict=True))

    @property
    def groups(self) -> NDArray[Any] | None:
        """The group of each row, ``[rows]``; None where rows are independent of each other."""
        return np.array(self.texts("group")) if "group" in self.roles else None

    def where(self, i: int) -> str:
        """The place of a row, as "reviews.csv:17"."""
        return f"{self.column(FILE)[i].as_py()}:{self.column(LINE)[i].as_py()}"

    def take(self, indices: Sequence[int] | np.ndarray, split: str | None = None) -> Rows:
        """The rows at these positions, in this order, as a split of their own.

        Args:
            indices: Positions; ascending ones are copied batch by batch and never all in memory.
            split: Name of the new split (default: the same).
        """
        wanted = np.asarray(indices, dtype=np.int64)
        writer = RowWriter(self.table.schema, split or self.split)
        if len(wanted) and np.any(np.diff(wanted) < 0):
            writer.add_table(self.table.take(pa.array(wanted)))
            return writer.finish()
        start = 0
        for batch in self.table.to_batches():
            low, high = np.searchsorted(wanted, [start, start + len(batch)])
            if high > low:
                writer.add_batch(batch.take(pa.array(wanted[low:high] - start)))
            start += len(batch)
        return writer.finish()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over roles and values in order: the same wherever the files lie, however they are read."""
        digest = hashlib.sha256()
        # Of images their pixels count, not where they lie.
        for role in sorted(set(self.roles) - ({IMAGE} if PIXELS in self.roles else set())):
            digest.update(f"{role}\n{len(self)}\n".encode())
            for chunk in self.column(role).chunks:
                for value in chunk.to_pylist():
                    raw = b"" if value is None else value.encode("utf-8")
                    digest.update(b"%d:" % (-1 if value is None else len(raw)))
                    digest.update(raw)
        return digest.hexdigest()


def named_places(places: Sequence[tuple[str, int]], shown: int = 5) -> str:
    """The first places as "reviews.csv:17", and how many there are besides."""
    more = f" and {len(places) - shown:,} more" if len(places) > shown else ""
    return ", ".join(f"{file}:{line}" for file, line in places[:shown]) + more


def row_schema(roles: Sequence[str]) -> pa.Schema:
    """The schema of a split with these roles."""
    fields = [pa.field(role, pa.string()) for role in roles]
    place = [pa.field(FILE, pa.dictionary(pa.int32(), pa.string())), pa.field(LINE, pa.int64())]
    return pa.schema(fields + place)


class RowWriter:
    """Writes a split to a scratch file, batch by batch."""

    def __init__(self, schema: pa.Schema, split: str) -> None:
        self._schema = schema
        self._split = split
        self._folder = tempfile.mkdtemp(prefix="tunebook-rows-")
        self._clean = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._path = Path(self._folder) / "rows.arrow"
        self._writer = pa.ipc.new_file(str(self._path), schema)

    def add(self, values: Mapping[str, Sequence[str | None]], files: pa.DictionaryArray, lines: Sequence[int]) -> None:
        """Add rows; the Arrow file format wants ``files`` to have the same dictionary in every call."""
        texts = [pa.array(column, pa.string()) for column in values.values()]
        self.add_batch(pa.record_batch([*texts, files, pa.array(lines, pa.int64())], schema=self._schema))

    def add_table(self, table: pa.Table) -> None:
        """Add all rows of a table."""
        for batch in table.to_batches():
            self.add_batch(batch)

    def add_batch(self, batch: pa.RecordBatch) -> None:
        """Add a batch with the writer's schema."""
        try:
            self._writer.write_batch(batch)
        except OSError as error:
            raise self._full(error) from error

    def finish(self) -> Rows:
        """Close the file, map it and take its name away, so that not even a kill leaves it behind."""
        try:
            self._writer.close()
        except OSError as error:
            raise self._full(error) from error
        with pa.memory_map(str(self._path)) as source:
            rows = Rows(pa.ipc.open_file(source).read_all(), self._split)
        if os.name == "posix":  # elsewhere a mapped file cannot be removed; so at exit
            self._clean()
        else:
            self._clean.detach()
            atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        return rows

    def _full(self, error: OSError) -> UserError:
        return UserError(
            f"the checked rows cannot be written: {error}",
            code="file.scratch-not-writable",
            where=self._folder,
            fix="free some space there, or name another folder in the environment variable TMPDIR",
        )
