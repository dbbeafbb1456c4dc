"""One process at a time writes to a run folder, and what a killed one left unfinished is cleared away."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tunebook.errors import UserError

if TYPE_CHECKING:
    from filelock import FileLock

LOCK = ".running"
PROBE = ".probe"
_UNFINISHED = re.compile(r"\..+\.[a-z0-9_]{8}")
"""Names that tempfile makes for what has not taken its own name yet."""


def lock_of(folder: Path) -> FileLock:
    """The lock of a folder. The operating system opens it when its holder ends, however that goes."""
    from filelock import FileLock  # most commands lock nothing

    return FileLock(folder / LOCK)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Be the process that writes to a folder; clear away what a killed one left unfinished.

    Raises:
        UserError: Another process writes to it.
    """
    from filelock import Timeout

    lock = lock_of(folder)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(
            "Another process is writing to this folder.",
            code="run.in-use",
            where=str(folder),
            fix="wait until it has ended, or choose another folder with run_dir=...",
        ) from error
    try:
        for place in (folder, folder / "checkpoints", folder / "logs"):
            for entry in place.iterdir() if place.is_dir() else ():
                if is_left_over(entry) and entry.name != LOCK:
                    with contextlib.suppress(OSError):
                        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        yield
    finally:
        lock.release()


def is_left_over(entry: Path) -> bool:
    """Whether a file or folder is nobody's work: the lock, a probe, or something that was never finished."""
    return entry.name in (LOCK, PROBE) or bool(_UNFINISHED.fullmatch(entry.name))
