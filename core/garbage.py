"""How often Python looks for garbage: seldom while libraries are imported, which leave none to be found.

At Python's own pace that is a fifth of the time that a command takes to start.
"""

from __future__ import annotations

import gc

_SELDOM = (100_000, 50, 100)
_usual = gc.get_threshold()


def look_seldom() -> None:
    """From here on, look for garbage seldom."""
    gc.set_threshold(*_SELDOM)


def look_as_usual() -> None:
    """Look for it at Python's pace again, as what a training leaves may hold tensors; what is there now is none."""
    gc.freeze()
    gc.set_threshold(*_usual)
