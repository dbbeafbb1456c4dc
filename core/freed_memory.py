"""Memory that is freed goes back to the system at once, where a run is to fit into little of it."""

from __future__ import annotations

import ctypes
import platform

_OWN_PAGES = 1024 * 1024  # bytes; larger blocks get pages of their own, which no small block can keep from being freed
_M_MMAP_THRESHOLD = -3  # malloc.h of glibc


def return_freed_memory() -> None:
    """Have glibc give tensors pages of their own and hand them back once freed; nothing elsewhere.

    By itself glibc learns from the first large tensor that is freed to keep those up to 32 MB in its heap, where small
    blocks between them hold them fast: the activations of a language model then take two to three times their size.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES)
