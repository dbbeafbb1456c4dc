"""The entry points of everything installed, read once a folder for as long as nothing is installed or removed there."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import Distribution, EntryPoint, EntryPoints, distributions


def entries(group: str) -> EntryPoints:
    """The entry points of a group."""
    seen: dict[str, EntryPoints] = {}
    for folder in sys.path:  # of a distribution that is there twice, Python imports the first
        for name, found in _of_folder(*_state(folder)):
            seen.setdefault(name, found)
    return EntryPoints(entry for found in seen.values() for entry in found if entry.group == group)


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


@lru_cache(maxsize=64)
def _of_folder(folder: str, changed: int) -> list[tuple[str, EntryPoints]]:
    """The entry points of each distribution in a folder, by the distribution's name as it is compared."""
    return [(_compared_name(each), each.entry_points) for each in distributions(path=[folder])]


def _compared_name(dist: Distribution) -> str:
    """Told by its folder's name where Python can, as its metadata may be long."""
    return getattr(dist, "_normalized_name", None) or re.sub(r"[-_.]+", "_", dist.metadata["Name"] or "").lower()
