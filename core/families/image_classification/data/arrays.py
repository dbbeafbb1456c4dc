"""Images in an .npz file: their references, and its arrays read one at a time, without running anything."""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from tunebook.data.unpacking import check_memory, check_unpacked
from tunebook.data.values import as_text
from tunebook.errors import UserError

_INSIDE = re.compile(r"(.+\.npz)::(\w+)::(\d+)", re.IGNORECASE | re.DOTALL)
_DAMAGED = (OSError, ValueError, KeyError, IndexError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error)


def reference_to(path: Path | str, array: str, row: int | str) -> str:
    """How rows name an image that lies in an .npz file."""
    return f"{path}::{array}::{row}"


def inside(reference: str) -> tuple[str, str, int] | None:
    """File, array and row of an image that lies in an .npz file; None for one that is a file of its own."""
    found = _INSIDE.fullmatch(reference)
    return (found[1], found[2], int(found[3])) if found else None


def array_names(path: Path) -> list[str]:
    """The names of the arrays in an .npz file, without reading them.

    Raises:
        UserError: It cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except _DAMAGED as error:
        raise _unreadable(path, error) from None


def read_array(path: Path, name: str) -> NDArray[Any]:
    """One array of an .npz file; never unpickles.

    Raises:
        UserError: It is not there, or damaged.
    """
    try:
        _shape(path, name)
        with np.load(path, allow_pickle=False) as arrays:
            found: NDArray[Any] = arrays[name]
            return found
    except _DAMAGED as error:
        raise _unreadable(path, error) from None


def array_length(path: Path, name: str) -> int:
    """Number of rows of an array in an .npz file, from its header alone.

    Raises:
        UserError: It is not there, or damaged.
    """
    try:
        return _shape(path, name)[0]
    except _DAMAGED as error:
        raise _unreadable(path, error) from None


def _shape(path: Path, name: str) -> tuple[int, ...]:
    """The shape of an array that is all there, and fits into memory."""
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as stream:
        info = archive.getinfo(f"{name}.npy")
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(stream)
        size = math.prod(map(int, shape)) * dtype.itemsize  # Python's integers do not overflow
        if not dtype.hasobject and size != info.file_size - stream.tell():
            raise ValueError(f"{name} says that it is {shape} {dtype}, and there are {info.file_size} bytes of it")
        if not size and shape and shape[0]:
            raise ValueError(f"{name} has the shape {shape}, and nothing in it")
    check_unpacked(path, info.compress_size, info.file_size)
    check_memory(path, info.file_size)
    return tuple(int(length) for length in shape)


def read_labels(path: Path, name: str, count: int) -> list[list[str | None]]:
    """An array of labels as text, ``[labels a row][rows]``; whole numbers as such, None where there is no number.

    Args:
        path: The file.
        name: Of the array: ``[rows]``, or ``[rows, labels]``.
        count: Rows that it must have.

    Raises:
        UserError: It has others, or is damaged.
    """
    labels = read_array(path, name)
    if not labels.ndim or len(labels) != count:
        raise UserError(
            f"{path.name} has {count} images and {len(labels) if labels.ndim else 1} {name}",
            code="data.length-mismatch",
            where=str(path),
            fix="an image and its label must be in the same row of the two arrays",
        )
    try:
        return [[_label(value) for value in column] for column in labels.reshape(count, -1).T.tolist()]
    except ValueError as error:  # bytes that are no text
        raise _unreadable(path, error) from None


def _label(value: Any) -> str | None:
    # Findings are 0 and 1 in these files, whatever type they are stored as.
    return as_text(int(value) if isinstance(value, bool) else value, nested=False)


def _unreadable(path: Path, error: Exception) -> UserError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return UserError(
        f"{path.name} is not a readable .npz file: {reason}",
        code="data.damaged-file",
        where=str(path),
        fix="fetch it again",
    )
