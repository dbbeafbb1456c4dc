"""Files that may come from anyone: what is no plain file, has no end or leads elsewhere is an error, not a hang."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunebook.errors import UserError

LARGEST = 1 << 23
"""Bytes of the largest JSON or YAML file that is read."""
DEEPEST = 100
"""Levels of the most nested YAML that is read."""
MOST_NODES = 100_000
"""Values in a YAML file, each counted as often as aliases repeat it."""
LONGEST_NUMBER = 1000
"""Digits of the longest number in a YAML file."""
_KINDS = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


def read_json(path: Path, largest: int = LARGEST) -> Any:
    """Read a JSON file of so many bytes at most.

    Raises:
        ValueError: It is no plain file, too large, not UTF-8 or not JSON; the message completes "it is damaged: ...".
        OSError: It cannot be read.
    """
    try:
        return json.loads(_text(path, largest))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises:
        ValueError: As `read_json`, or it holds something else.
        OSError: It cannot be read.
    """
    found = read_json(path)
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object")
    return found


def _text(path: Path, largest: int = LARGEST) -> str:
    kind = _kind(path.stat().st_mode)
    if kind:
        raise ValueError(f"it is {kind}, not a file")
    if path.stat().st_size > largest:
        raise ValueError(f"it is larger than {largest >> 20} MiB")
    return path.read_text(encoding="utf-8")


def _kind(mode: int) -> str:
    """What a path is that is neither a file nor a folder; "" for these."""
    return _KINDS.get(stat.S_IFMT(mode), "")


def values_within(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """A value of JSON and all within it, each with the last key above it."""
    yield key, value
    if isinstance(value, dict):
        for name, inside in value.items():
            yield from values_within(inside, str(name))
    elif isinstance(value, list):
        for inside in value:
            yield from values_within(inside, key)


def check_regular(path: Path, where: str | None = None) -> None:
    """Refuse a path that can be read only once, or without end.

    Args:
        path: The path; one that is not there is none of this check's business.
        where: The config key that names it.

    Raises:
        UserError: It is a named pipe, a socket or a device.
    """
    try:
        kind = _kind(path.stat().st_mode)
    except OSError:
        return
    if kind:
        raise UserError(
            f"{path} is {kind}, not a file",
            code="file.not-regular",
            where=where or str(path),
            fix="save what it gives to a file first, and name that",
        )


def check_folder(folder: Path, *, links: bool = True) -> None:
    """Refuse a folder of ours in which something is neither a file nor a folder, before any of it is opened.

    Args:
        folder: A run folder, a bundle or a folder of pages; nothing is refused where there is none.
        links: Whether links may lead out of it.

    Raises:
        UserError: There is something else in it, or a link that leads out of it.
    """
    inside = Path(os.path.realpath(folder))
    for entry in _entries(folder):
        path = Path(entry.path)
        if not links and entry.is_symlink() and inside not in Path(os.path.realpath(path)).parents:
            raise UserError(
                f"{path} is a link that leads out of its folder, to {os.path.realpath(path)}",
                code="file.link-outside",
                where=str(path),
                fix="where you trust it, replace it by what it leads to: cp -rL makes such a copy of the folder",
            )
        check_regular(path)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """All that is in a folder and the folders below it, without those that links lead to."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        yield entry
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(Path(entry.path))


def check_yaml(path: Path) -> None:
    """Refuse a YAML file that would fill the memory: aliases of aliases, or lists without end.

    Raises:
        UserError: It would.
    """
    try:
        _check_yaml(path)
    except (OSError, UnicodeDecodeError):
        return  # said, with its place, where it is read


def check_pages(folder: Path) -> None:
    """Refuse a folder of config pages, in groups or not, in which one is no file or would fill the memory.

    Raises:
        UserError: One is.
    """
    for pattern in ("*.yaml", "*/*.yaml", "*/*/*.yaml"):  # no config is deeper, and the folder may hold anything else
        for page in folder.glob(pattern):
            check_regular(page)
            if not page.is_file():
                continue
            try:
                _check_yaml(page)
            except (OSError, UnicodeDecodeError) as error:
                why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
                raise UserError(
                    f"{page.name} cannot be read: {why}",
                    code="config.unreadable",
                    where=str(page),
                    fix="remove or correct it",
                ) from None


def _check_yaml(path: Path) -> None:
    """As `check_yaml`; a file that cannot be read raises what reading it raises."""
    import yaml

    try:
        nodes = _count_nodes(_text(path))
    except UnicodeDecodeError:
        raise
    except yaml.YAMLError as error:
        if "nesting depth" not in str(error):  # the C library has a limit of its own
            return  # a syntax error is said, with its place, where the file is used
        raise _no_page(path, f"it is nested more than {DEEPEST} levels deep") from None
    except ValueError as error:
        raise _no_page(path, f"{error}") from None
    if nodes > MOST_NODES:
        raise _no_page(path, f"it stands for more than {MOST_NODES:,} values")


def _no_page(path: Path, what: str) -> UserError:
    return UserError(
        f"{path.name} is no config: {what}", code="config.too-large", where=str(path), fix="remove or correct it"
    )


def _count_nodes(text: str) -> int:
    """Number of values, those behind aliases as often as they are named; stops counting where there are too many.

    Raises:
        ValueError: They are nested too deeply, or one holds itself, or is a number without end.
    """
    import yaml

    anchors: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = [(None, 0)]
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, 1))
            if len(open_nodes) > DEEPEST:
                raise ValueError(f"it is nested more than {DEEPEST} levels deep")
            continue
        anchor, nodes = None, 0
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, nodes = open_nodes.pop()
        elif isinstance(event, yaml.ScalarEvent):
            if len(event.value) > LONGEST_NUMBER and event.value.isdigit():
                raise ValueError(f"a number in it has {len(event.value):,} digits")
            anchor, nodes = event.anchor, 1
        elif isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in open_nodes):
                raise ValueError(f"{event.anchor} holds itself")
            nodes = anchors.get(event.anchor, 1)
        if anchor is not None:
            anchors[anchor] = nodes
        outer, before = open_nodes[-1]
        open_nodes[-1] = (outer, before + nodes)
        if before + nodes > MOST_NODES:
            return before + nodes
    return open_nodes[0][1]
