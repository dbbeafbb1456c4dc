"""Packed files, unpacked with an end: what blows up to many times its size is no data."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from tunebook.errors import UserError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

ALWAYS = 1 << 28
"""Bytes that any packed file may hold."""
ALWAYS_ROWS, ROWS_A_BYTE = 1_000_000, 20
"""Rows that any columnar file may hold, and how many a larger one may for each of its bytes."""
RATIO = 200
"""How many times its packed size a larger file may hold: texts are packed to a tenth, pictures to a third."""


def check_unpacked(path: Path, packed: int, unpacked: int) -> None:
    """Refuse what holds far more than data of its size can.

    Args:
        path: The file, for messages.
        packed: Its bytes.
        unpacked: Bytes that it holds, or that were read from it so far.

    Raises:
        UserError: It is too much.
    """
    if unpacked > ALWAYS and unpacked > RATIO * packed:
        raise UserError(
            f"{path.name} unpacks to over {RATIO} times its size, which no data does",
            code="data.unpacks-too-large",
            where=str(path),
            fix="look at what is in it; where that is what you want, unpack it first",
        )


def check_rows(path: Path, size: int, rows: int) -> None:
    """Refuse a columnar file that stands for far more rows than its size can tell apart.

    Args:
        path: The file, for messages.
        size: Its bytes.
        rows: The rows that it says it has.

    Raises:
        UserError: It is too many.
    """
    if rows > ALWAYS_ROWS and rows > ROWS_A_BYTE * size:
        raise UserError(
            f"{path.name} stands for {rows:,} rows in {size:,} bytes, which no data does",
            code="data.unpacks-too-large",
            where=str(path),
            fix="look at what is in it",
        )


def check_memory(path: Path, size: int) -> None:
    """Refuse what does not fit into the memory that is free.

    Args:
        path: The file, for messages.
        size: Bytes that it takes.

    Raises:
        UserError: It does not fit.
    """
    import psutil  # rows are looked at before anything like it is loaded

    free = psutil.virtual_memory().available
    if size > free:
        raise UserError(
            f"{path.name} takes {size / 2**30:.1f} GiB of memory, and {free / 2**30:.1f} GiB are free",
            code="data.too-large-for-memory",
            where=str(path),
            fix="give the images as files of their own, listed in a CSV file",
        )


def open_gzip(path: Path) -> BinaryIO:
    """Open a gzipped file for reading, watched by `check_unpacked`."""
    return cast(BinaryIO, io.BufferedReader(_Watched(path), 1 << 17))


class _Watched(io.RawIOBase):
    """The unpacked bytes of a gzipped file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path, self._packed = path, path.stat().st_size
        self._file = gzip.GzipFile(path, "rb")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer: WriteableBuffer) -> int:
        count = self._file.readinto(buffer)
        check_unpacked(self._path, self._packed, self._file.tell())
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
