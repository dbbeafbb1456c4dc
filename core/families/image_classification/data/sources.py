"""Images as rows: a folder with one sub-folder a class, a MedMNIST-style .npz, or single files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tunebook.data.chunks import Chunk
from tunebook.data.columns import Column
from tunebook.data.file_source import FileSource
from tunebook.data.unread import Unread
from tunebook.errors import UserError
from tunebook.families.image_classification.data.arrays import (
    array_length,
    array_names,
    inside,
    read_labels,
    reference_to,
)
from tunebook.families.image_classification.data.endings import is_image_file

# What official splits are called, in .npz files and as folders.
_SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}

_SERVED = re.compile(r"(?:https?://[^/]+)?/data/local-files/\?d=(.+)", re.DOTALL)
"""How Label Studio names a file of its local storage, which is relative to the root of that storage."""


def holds_images(path: Path) -> bool:
    """Whether a source is read here: an image, an .npz file, or a folder that `datasets` did not write."""
    if path.is_dir():
        return not (path / "state.json").is_file()
    return path.suffix.lower() == ".npz" or is_image_file(path)


def image_path(value: str, folder: Path | None) -> tuple[str, str]:
    """The full path of an image as a row names it, and what is wrong with it."""
    within = inside(value)
    named = within[0] if within else value
    served = _SERVED.fullmatch(named)
    if served:
        named = unquote(served[1])
    # A tilde in front of anything but a slash is a name, such as what editors leave.
    path = (folder or Path()) / (Path(named).expanduser() if named.startswith("~/") else named)
    try:
        if path.is_file():
            full = str(path.absolute())
            return (reference_to(full, *within[1:]) if within else full), ""
        missing = "a folder, not a file" if path.is_dir() else f"there is no such file in {folder}"
    except OSError as error:  # a name that is too long, a folder that may not be entered
        missing = error.strerror or "it cannot be accessed"
    return value, f"is {value!r}: {missing}"


def official_splits(spec: Any) -> dict[str, str]:
    """The splits that a single .npz file or folder brings along, by name; empty where it brings none."""
    if not isinstance(spec, (str, Path)):
        return {}
    path = Path(spec).expanduser()
    if path.is_dir() and not any((path / f).is_file() for f in ("state.json", "dataset_dict.json")):
        return _split_folders(path)
    if path.suffix.lower() == ".npz" and path.is_file():
        arrays = array_names(path)
        return {s: str(path) for s in _SPLIT_NAMES if _images_of(s, arrays)} if _images_of("train", arrays) else {}
    return {}


def _split_folders(path: Path) -> dict[str, str]:
    """The sub-folders train, val, test ... of a folder, by split.

    Raises:
        UserError: There are others next to them, which would be left out in silence.
    """
    folders = {e.name.casefold(): e for e in path.iterdir() if e.is_dir() and not e.name.startswith(".")}
    found = {split: [folders[name] for name in names if name in folders] for split, names in _SPLIT_NAMES.items()}
    if not found["train"]:
        return {}
    others = set(folders.values()) - {each[0] for each in found.values() if each}
    if others and (found["validation"] or found["test"]):
        raise UserError(
            f"{path.name} contains splits and other folders: {', '.join(sorted(folder.name for folder in others))}",
            code="data.several-splits",
            where=str(path),
            fix=f"name the splits: data.train={found['train'][0]} data.test=...",
        )
    return {} if others else {split: str(each[0]) for split, each in found.items() if each}


def _images_of(split: str, arrays: Sequence[str]) -> str | None:
    """The array with a split's images; of a file without splits its only one."""
    return next((f"{name}_images" for name in _SPLIT_NAMES.get(split, ()) if f"{name}_images" in arrays), None)


def read_images(path: Path, columns: Sequence[Column], split: str, unread: Unread) -> Iterator[Chunk]:
    """Rows of one source; the line of a row is its number in the source, from 1.

    Raises:
        UserError: There is no image, or a column that such a source does not have is needed.
    """
    if path.is_dir():
        yield from _folder(path, columns, unread)
    elif path.suffix.lower() == ".npz":
        yield from _npz(path, columns, split)
    else:
        _refuse_others(path, columns, ("file",))
        yield Chunk({column.role: [str(path.absolute()) if column.kind == "file" else None] for column in columns}, [1])


def _refuse_others(path: Path, columns: Sequence[Column], kinds: Sequence[str]) -> None:
    for column in columns:
        if column.kind not in kinds and column.required:
            raise UserError(
                f"the source {path.name} contains images and no column {column.name!r}",
                code="data.missing-column",
                where=column.key,
                fix="list the images in a CSV or Parquet file with a column for each of these, "
                f"such as path,label,{column.name}",
            )


def _folder(path: Path, columns: Sequence[Column], unread: Unread) -> Iterator[Chunk]:
    wanted = any(column.kind == "label" and column.required for column in columns)
    _refuse_others(path, columns, ("file", "label"))
    splits = _split_folders(path) if wanted else {}
    if len(splits) > 1:
        raise UserError(
            f"{path.name} contains splits, not classes: {', '.join(splits)}",
            code="data.several-splits",
            where=str(path),
            fix=f"name one: {next(iter(splits.values()))}",
        )
    entries = sorted(file for file in path.rglob("*") if _is_entry(file))
    files = [file for file in entries if not _is_hidden(file, path)]
    if wanted:
        loose = [file for file in files if file.parent == path and is_image_file(file)]
        if loose:
            raise UserError(
                f"{loose[0].name} is not in a sub-folder, so its class is unknown",
                code="data.no-class",
                where=str(path),
                fix="one sub-folder per class with its name, or a CSV file with the columns path and label",
            )
    images = [file for file in files if not wanted or file.parent != path]
    if not any(map(is_image_file, images)):
        raise UserError(
            f"there is no image in {path}",
            code="data.no-images",
            where=str(path),
            fix="name the folder that contains them",
        )
    read = set(images)
    unread.count_files(file for file in entries if file not in read)
    chunk = Chunk.empty(columns)
    for line, file in enumerate(images, start=1):
        label = file.relative_to(path).parts[0]
        known = {"file": str(file.absolute()), **({"label": label} if wanted else {})}
        chunk.append(columns, [known.get(column.kind) for column in columns], line)
    yield chunk


def _is_entry(file: Path) -> bool:
    """A file, or a link to one that is not there, which must not be left out in silence."""
    return file.is_file() or (file.is_symlink() and not file.exists())


def _is_hidden(file: Path, root: Path) -> bool:
    """What file managers leave behind is no row."""
    return any(part.startswith(".") for part in file.relative_to(root).parts) or file.name == "Thumbs.db"


def _npz(path: Path, columns: Sequence[Column], split: str) -> Iterator[Chunk]:
    arrays = array_names(path)
    own = _images_of(split, arrays)
    every = [name for name in arrays if name == "images" or name.endswith("_images")]
    wanted = [own] if own else every
    if not wanted or (not own and split in _SPLIT_NAMES and len(every) > 1):
        raise UserError(
            f"{path.name} has no {split} images; its arrays: {', '.join(arrays)}",
            code="data.missing-array",
            where=str(path),
            fix=f"name the arrays {'_'.join([_SPLIT_NAMES.get(split, (split,))[0], 'images'])} and "
            f"{'_'.join([_SPLIT_NAMES.get(split, (split,))[0], 'labels'])}",
        )
    before = 0
    for name in wanted:
        chunk = _npz_chunk(path, name, arrays, columns, before)
        before += len(chunk.lines)
        yield chunk


def _npz_chunk(path: Path, name: str, arrays: Sequence[str], columns: Sequence[Column], before: int) -> Chunk:
    """The rows of one array; ``before`` are in the arrays before it."""
    count = array_length(path, name)
    labels_name = name.removesuffix("images") + "labels"
    labelled = any(column.kind in ("label", "flag") for column in columns)
    labels = read_labels(path, labels_name, count) if labelled and labels_name in arrays else []
    chunk = Chunk({}, list(range(before + 1, before + count + 1)))
    for column in columns:
        if column.kind == "file":
            values: list[str | None] = [reference_to(path.absolute(), name, i) for i in range(count)]
        elif column.kind == "label" and len(labels) == 1:
            values = labels[0]
        elif column.kind == "flag" and column.name in map(str, range(len(labels))):
            values = labels[int(column.name)]
        elif column.required:
            raise _no_such_label(path, column, len(labels))
        else:
            values = [None] * count
        chunk.values[column.role] = values
    return chunk


def _no_such_label(path: Path, column: Column, labels: int) -> UserError:
    fix = "list the images in a CSV file with such a column"
    if labels > 1:
        fix = f"its {labels} findings are named 0 to {labels - 1}: recipe.findings=[0,1]"
    return UserError(
        f"{path.name} has no column {column.name!r}", code="data.missing-column", where=column.key, fix=fix
    )


IMAGE_FILES = FileSource(
    holds_images,
    read_images,
    image_path,
    official_splits,
    hint="data.image_root=<folder> says what paths are relative to",
)
"""How images are found and read."""
