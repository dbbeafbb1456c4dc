"""SIGTERM as an exception, so that what is open is closed, and nothing half-written stays."""

from __future__ import annotations

import signal
from types import FrameType


class Terminated(SystemExit):
    """SIGTERM came; the process ends with exit code 143 once all is closed, and a second one ends it at once."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


def raise_on_sigterm() -> None:
    """Have SIGTERM raise `Terminated` in this process; without effect outside of the main thread."""
    try:
        signal.signal(signal.SIGTERM, _raise)
    except ValueError:  # a thread of a notebook or a server, which decides for itself
        return


def _raise(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise Terminated


def signal_behind(error: BaseException) -> int:
    """The signal that an exception stands for; 0 for any other.

    Lightning answers Ctrl-C outside of a batch with an exit of its own.
    """
    if isinstance(error, Terminated):
        return signal.SIGTERM
    if isinstance(error, KeyboardInterrupt):
        return signal.SIGINT
    return signal.SIGINT if isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt) else 0
