"""Warnings of the libraries that read image files, held back in every thread at once."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

_RULE = ("ignore", None, Warning, re.compile(r"(PIL|pydicom|openjpeg|libjpeg|pylibjpeg|gdcm)\b"), 0)
_lock = threading.Lock()
_inside = 0


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Hold back what Pillow and pydicom warn of while any thread is inside; other modules warn as ever.

    Why a file is refused is reported as its reason, and the rest (odd metadata) is of no use to the reader of a
    log; in a program that turns warnings into errors they would make usable files unusable.
    `warnings.catch_warnings` cannot do this: it swaps the filters of all threads and forgets those set meanwhile.
    """
    global _inside
    with _lock:
        _inside += 1
        filters = cast("list[Any]", warnings.filters)
        if _RULE not in filters:
            # Not through warnings.filterwarnings, which makes Python forget which warnings it has shown once already.
            filters.insert(0, _RULE)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            filters = cast("list[Any]", warnings.filters)
            if not _inside and _RULE in filters:
                filters.remove(_RULE)
