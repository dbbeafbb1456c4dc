"""From what `data.train` says to files on disk."""

from __future__ import annotations

import difflib
import glob
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tunebook.errors import UserError
from tunebook.untrusted import check_regular, read_object


def resolve_paths(spec: Any, key: str, folders: bool = False) -> list[Path]:
    """Name the files (or saved `datasets` folders) that a config value stands for.

    Args:
        spec: A path, a glob ("**" goes into folders), a folder written by `Dataset.save_to_disk`, or a
            list of these.
        key: The config key that holds it, for messages.
        folders: Any folder will do: the rows are files, and it may hold them.

    Returns:
        Each source once, sorted by its path, so that the order never depends on the file system.

    Raises:
        UserError: Nothing is there, or a folder is not a saved dataset.
    """
    found: dict[Path, Path] = {}
    for item in named_paths(spec, key):
        for path in _expand(item, key, folders):
            found.setdefault(path.resolve(), path)
    if not found:
        raise UserError("no rows are given", code="data.no-source", where=key, fix=f"{key}=rows.csv")
    return sorted(found.values())


def short_names(paths: Iterable[Path]) -> dict[Path, str]:
    """Call each file by its name, or by as many of its folders as tell it from the others."""
    real = {path: path.resolve() for path in paths}
    names: dict[Path, str] = {}
    depth = 1
    while pending := set(real.values()) - set(names):
        tails = {path: "/".join(path.parts[-depth:]) for path in pending}
        taken = Counter(tails.values())
        names.update((path, tail) for path, tail in tails.items() if taken[tail] == 1)
        depth += 1
    return {path: names[target] for path, target in real.items()}


def named_paths(spec: Any, key: str) -> list[str]:
    """What a config value names, as it was written.

    Raises:
        UserError: It is neither a path nor a list of paths.
    """
    if isinstance(spec, (str, Path)):
        return [str(spec)]
    if isinstance(spec, Iterable):
        items = list(spec)
        if all(isinstance(item, (str, Path)) for item in items):
            return [str(item) for item in items]
    raise UserError(
        f"{spec!r} is neither a path nor a list of paths",
        code="config.wrong-type",
        where=key,
        fix=f"{key}=rows.csv or {key}=[a.csv,b.csv]",
    )


def _expand(item: str, key: str, folders: bool) -> list[Path]:
    path = Path(item).expanduser()
    if path.is_dir():
        return [path if folders and not (path / "dataset_dict.json").is_file() else _dataset_folder(path, key)]
    if path.exists():
        check_regular(path, key)
        return [path]
    if glob.has_magic(item):
        files = [match for match in _matches(str(path)) if match.is_file()]
        if files:
            return files
        raise UserError(
            f"no file matches {item}",
            code="data.missing-file",
            where=key,
            fix=f"check the pattern: {key}='folder/*.csv'",
        )
    raise _missing(path, key)


def _matches(pattern: str) -> list[Path]:
    """The paths of a pattern; of "**" each folder is looked into once, whatever links lead to it, and no hidden one."""
    parts = Path(pattern).parts
    if "**" not in parts:
        return [Path(match) for match in glob.glob(pattern)]
    first = parts.index("**")
    rest = parts[first + 1 :] or ("*",)
    found: dict[Path, None] = {}
    for top in glob.glob(str(Path(*parts[:first]))) if first else ["."]:
        seen: set[str] = set()
        for folder, below, _ in os.walk(top, followlinks=True):
            real = os.path.realpath(folder)
            if real in seen:
                below.clear()
                continue
            seen.add(real)
            below[:] = (name for name in below if not name.startswith("."))  # as glob does
            found.update(dict.fromkeys(_matches(str(Path(glob.escape(folder), *rest)))))
    return list(found)


def _dataset_folder(path: Path, key: str) -> Path:
    if (path / "state.json").is_file():
        return path
    several = path / "dataset_dict.json"
    if several.is_file():
        splits = _splits_of(several)
        raise UserError(
            f"{path} holds several splits: {', '.join(splits)}",
            code="data.several-splits",
            where=key,
            fix="choose one, " + " or ".join(f"{key}={path / split}" for split in splits),
        )
    raise UserError(
        f"{path} is a folder, and not one saved by datasets.Dataset.save_to_disk (it has no state.json)",
        code="data.not-a-dataset",
        where=key,
        fix=f"name the files in it: {key}='{path}/*.csv'",
    )


def _splits_of(file: Path) -> list[str]:
    """The splits that a `dataset_dict.json` names."""
    try:
        return list(map(str, read_object(file)["splits"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{file} cannot be read: {error}", code="data.damaged-file", where=str(file), fix="save the dataset again"
        ) from None


def _missing(path: Path, key: str) -> UserError:
    folder = path.parent
    if not folder.is_dir():
        return UserError(
            f"{path} does not exist: there is no folder {folder}",
            code="data.missing-file",
            where=key,
            fix=f"correct the path; a relative one starts at {Path.cwd()}",
        )
    names = sorted(entry.name for entry in folder.iterdir())
    near = difflib.get_close_matches(path.name, names, n=3)
    fix = f"did you mean {' or '.join(f'{key}={folder / name}' for name in near)}?" if near else "correct the path"
    return UserError(f"{path} does not exist", code="data.missing-file", where=key, fix=fix)
