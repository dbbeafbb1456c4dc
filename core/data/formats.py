"""Reading rows: one stream of chunks, whatever the file's format."""

from __future__ import annotations

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tunebook.data import label_studio
from tunebook.data.chunks import Chunk, Reject
from tunebook.data.columnar import read_dataset, read_parquet
from tunebook.data.columns import Column
from tunebook.data.delimited import read_delimited
from tunebook.data.file_source import file_source
from tunebook.data.jsonlines import read_jsonlines
from tunebook.data.paths import resolve_paths, short_names
from tunebook.data.unpacking import open_gzip
from tunebook.data.unread import Unread
from tunebook.errors import UserError

__all__ = ["KNOWN", "Chunk", "Reject", "read_batches", "resolve_paths", "short_names"]

KNOWN = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
CHUNK_ROWS = 4096


def read_batches(
    path: Path,
    columns: Sequence[Column],
    reject: Reject,
    rows: int = CHUNK_ROWS,
    split: str = "rows",
    unread: Unread | None = None,
    delimiter: str | None = None,
    vote: bool = False,
) -> Iterator[Chunk]:
    """Stream the needed columns of a file, at most ``rows`` rows at a time.

    Nothing is guessed: "NA", "007" and "no" stay text. Typed values (JSON, Parquet, `datasets`) become text
    by `tunebook.data.values.as_text`. A row that cannot be read goes to ``reject``, the rest goes on. What nothing
    reads is counted in ``unread``.

    Args:
        path: The file or folder.
        columns: The columns wanted.
        reject: Takes the rows that cannot be read.
        rows: Most rows in a chunk.
        split: Name of the rows.
        unread: Counts what nothing reads.
        delimiter: What separates the columns of CSV files (``data.delimiter``; default: a comma).
        vote: Whether the majority of disagreeing annotators decides in exports of Label Studio.

    Raises:
        UserError: The file as a whole cannot be read: unknown ending, no such column, empty, binary, damaged.
    """
    unread = unread or Unread()
    files = file_source(columns)
    if files is not None and files.holds(path):
        yield from files.read(path, columns, split, unread)
        return
    if path.is_dir():
        yield from read_dataset(path, columns, reject, rows, unread)
        return
    ending = path.name.lower().removesuffix(".gz")
    try:
        if ending.endswith(".parquet"):
            with _plain_file(path) as plain:
                yield from read_parquet(plain, path, columns, reject, rows, unread)
        elif ending.endswith((".csv", ".tsv")):
            with open_bytes(path) as file:
                if label_studio.is_table(file, columns):
                    wanted = [*columns, label_studio.TASK]
                    each = read_delimited(file, path, wanted, reject, rows, unread, delimiter)
                    yield from label_studio.merged_table(each, columns, reject, rows, unread, vote)
                else:
                    yield from read_delimited(file, path, columns, reject, rows, unread, delimiter)
        elif ending.endswith((".jsonl", ".ndjson", ".json")):
            with open_bytes(path) as file:
                if label_studio.is_array(file, columns):
                    yield from label_studio.read_array(file, path, columns, reject, rows, unread, vote)
                else:
                    yield from read_jsonlines(file, path, columns, reject, rows, unread)
        else:
            known = ", ".join(KNOWN)
            raise UserError(
                f"{path.name}: unknown file format",
                code="data.unknown-format",
                where=str(path),
                fix=f"use one of {known}, each also with .gz",
            )
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(
            f"{path.name}: damaged gzip file ({error})", code="data.damaged-file", where=str(path), fix="fetch it again"
        ) from None
    except PermissionError:
        raise UserError(
            f"{path.name} may not be read", code="file.not-readable", where=str(path), fix=f"chmod u+r {path}"
        ) from None


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Open a text file, gzipped or not, after a look at its first bytes."""
    zipped = path.name.lower().endswith(".gz")
    with open_gzip(path) if zipped else path.open("rb") as file:
        head = file.read(1 << 16)
        _refuse_binary(head, path)
        file.seek(0)
        yield file


def _refuse_binary(head: bytes, path: Path) -> None:
    # What a file begins with says more than how many zeros are in it: packed data may hold many.
    if head.startswith(b"\x1f\x8b"):
        raise UserError(
            f"{path.name} is gzipped but not named so",
            code="data.wrong-extension",
            where=str(path),
            fix=f"call it {path.name}.gz",
        )
    known = head.startswith((b"PK\x03\x04", b"PAR1", b"%PDF", b"\xd0\xcf\x11\xe0"))
    if not known and (head.startswith((b"\xff\xfe", b"\xfe\xff")) or head.count(0) * 4 > len(head)):
        raise UserError(
            f"{path.name} looks like UTF-16, not UTF-8",
            code="data.not-utf8",
            where=str(path),
            fix=f"iconv -f utf-16 -t utf-8 {path.name} > utf8-{path.name}",
        )
    if known or head.count(0) > 8 + len(head) // 100:
        raise UserError(
            f"{path.name} looks like a binary file, not text",
            code="data.unknown-format",
            where=str(path),
            fix="export it as CSV in UTF-8",
        )


@contextmanager
def _plain_file(path: Path) -> Iterator[Path]:
    """Parquet is read by seeking, which gzip cannot do: unpack it to a temporary file first."""
    if not path.name.lower().endswith(".gz"):
        yield path
        return
    with tempfile.NamedTemporaryFile(suffix=".parquet") as plain:
        with open_gzip(path) as packed:
            shutil.copyfileobj(packed, plain, 1 << 20)
        plain.flush()
        yield Path(plain.name)
