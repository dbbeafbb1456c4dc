"""Files that are either whole or not there."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tunebook.errors import UserError

NO_HANDLE = {errno.EMFILE, errno.ENFILE}
"""Errors that say nothing of a file, but that too many are open."""


@contextmanager
def _beside(path: Path, **mode: Any) -> Iterator[IO[Any]]:
    """Open a temporary file that takes the name of ``path`` only when all of it is on disk.

    A kill or a full disk leaves what was there before. The temporary file lies in the target's own folder,
    because a rename between file systems is a copy.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, **mode) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp makes files that only their owner reads; a run folder is shared like any other file.
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
        _sync(path.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    """Have a file or folder on disk, not only in memory: a name that survives a power cut must have its content."""
    if sys.platform == "win32" and path.is_dir():  # which opens no folders
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system without it, as some on networks
            raise
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a binary file, whole or not at all."""
    with _beside(path, mode="wb") as stream:
        write(stream)


@contextmanager
def written_whole(path: Path) -> Iterator[IO[str]]:
    """Open a UTF-8 file that is there only when all of it is on disk.

    Raises:
        UserError: The folder cannot be written or the disk is full.
    """
    try:
        with _beside(path, mode="w", encoding="utf-8", newline="") as stream:
            yield stream
    except OSError as error:
        raise UserError(
            f"{path.name} cannot be written: {error.strerror or error}",
            code="file.not-writable",
            where=str(path.parent),
            fix="free some space or choose a folder you may write to: run_dir=<folder>",
        ) from error


@contextmanager
def folder_written_whole(folder: Path) -> Iterator[Path]:
    """A new folder to write into, that takes the name of ``folder`` only when the block ends without an error."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield beside
        # mkdtemp and safetensors make what only its owner may read; a run folder is shared like any other.
        beside.chmod(0o777 & ~_umask())
        for inside in beside.rglob("*"):
            inside.chmod((0o777 if inside.is_dir() else 0o666) & ~_umask())
            _sync(inside)
        _sync(beside)
        os.replace(beside, folder)
        _sync(folder.parent)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


@contextmanager
def filling_cache(place: Path, what: str) -> Iterator[None]:
    """Write to the cache within; where another process was first, with the same content, its work is taken.

    Args:
        place: The file or folder to be written, whole or not at all.
        what: What is kept there, for the message.

    Raises:
        UserError: The cache cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in NO_HANDLE:
            raise
        if not place.exists():
            raise UserError(
                f"the {what} cannot be saved: {error.strerror or error}",
                code="file.cache-not-writable",
                where=str(place.parent),
                fix="free some space there, or choose another folder: data.cache_dir=<folder>",
            ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    write_atomically(path, lambda stream: stream.write(text.encode("utf-8")))


def write_json(path: Path, value: Any) -> None:
    """Write JSON for people too: indented, unescaped, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def why_unreadable(error: OSError | UnicodeDecodeError) -> str:
    """Why a text file could not be read, for a message."""
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error.strerror)
