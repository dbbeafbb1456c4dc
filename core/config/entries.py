"""The entry points of everything installed, read once for as long as nothing is installed or removed."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import Distribution, EntryPoint, EntryPoints, entry_points


def entries(group: str) -> EntryPoints:
    """The entry points of a group."""
    return _all(tuple(_state(folder) for folder in sys.path)).select(group=group)


def distribution_of(entry: EntryPoint) -> str:
    """Who offers an entry point: a distribution with its version."""
    name, version = _name_and_version(entry.dist) if entry.dist else ("", "")
    return f"{name} {version}" if name else "unknown distribution"


def distribution_name(entry: EntryPoint) -> str:
    """Its name alone; empty where it is unknown."""
    return _name_and_version(entry.dist)[0] if entry.dist else ""


@lru_cache(maxsize=64)
def _name_and_version(dist: Distribution) -> tuple[str, str]:
    """Read once: each look at either parses the whole METADATA file, long description included."""
    metadata = dist.metadata
    return metadata["Name"] or "", metadata["Version"] or ""


def _state(folder: str) -> tuple[str, int]:
    with suppress(OSError):
        return folder, os.stat(folder or ".").st_mtime_ns
    return folder, 0


@lru_cache(maxsize=2)
def _all(state: tuple[tuple[str, int], ...]) -> EntryPoints:
    found = entry_points()
    # Python 3.10 and 3.11 sort them by group in a dict of an older kind.
    if isinstance(found, EntryPoints):
        return found
    return EntryPoints(entry for group in found.groups for entry in found.select(group=group))
