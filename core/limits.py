"""Time and memory limits for what strangers write, such as templates: their loops end, and so do their texts."""

from __future__ import annotations

import mmap
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

try:
    import resource
except ImportError:  # Windows knows no such limit
    resource = None  # type: ignore[assignment]

SECONDS = 2.0
"""CPU seconds that a template may take for one text; usual ones take thousandths."""
MEMORY = 1 << 29
"""Bytes of memory that it may take."""
_SIZES, _DATA = Path("/proc/self/statm"), 5  # pages of data and stack, as proc(5) says


class OverLimit(Exception):
    """A limit is reached; the message completes "the template ..."."""


@contextmanager
def limited(seconds: float = SECONDS, memory: int = MEMORY) -> Iterator[None]:
    """End what is done here when it takes too long or too much.

    The time is the process's CPU time, watched in the main thread of systems with POSIX signals; Python looks between
    its own steps, so that one long step ends late. Memory is what the whole process may write to, limited on Linux.

    Args:
        seconds: CPU seconds.
        memory: Bytes beside what the process has already.

    Raises:
        OverLimit: A limit is reached.
    """
    timed = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    before = _limit_memory(memory)
    handler = signal.signal(signal.SIGVTALRM, _out_of_time) if timed else None
    try:
        if timed:
            signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
        yield
    except MemoryError:
        raise OverLimit(f"needs more than {memory >> 20} MiB of memory") from None
    finally:
        if timed:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, handler)
        if before is not None:
            resource.setrlimit(resource.RLIMIT_DATA, before)


def _out_of_time(number: int, frame: FrameType | None) -> None:
    raise OverLimit("does not come to an end")


def _limit_memory(memory: int) -> tuple[int, int] | None:
    """Limit the memory that can be written to; what the limits were before, None where nothing is limited."""
    try:
        size = int(_SIZES.read_bytes().split()[_DATA]) * mmap.PAGESIZE + memory
    except OSError:
        return None
    soft, hard = before = resource.getrlimit(resource.RLIMIT_DATA)
    if any(limit not in (resource.RLIM_INFINITY, -1) and limit < size for limit in (soft, hard)):
        return None  # a limit of the user's own comes first
    resource.setrlimit(resource.RLIMIT_DATA, (size, hard))
    return before
