"""Pictures decoded and resized once into a file of bytes, which training then maps.

Decoding a picture costs milliseconds, reading it from the map microseconds; twenty epochs pay the first once.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from tunebook.families.image_classification.data.arrays import inside, read_array
from tunebook.families.image_classification.data.decode import decode, decode_array
from tunebook.families.image_classification.data.decoded import DecodedImage, Decoding, UnusableImage
from tunebook.families.image_classification.data.fingerprints import pixel_digest, thumbnail
from tunebook.families.image_classification.data.resize import Square, resized
from tunebook.files import filling_cache, folder_written_whole, write_json
from tunebook.sealing import is_whole, seal

_FORMAT = 1
_CHUNK = 256  # pictures decoded ahead
_ONE_AT_A_TIME = Lock()
_ARRAYS = ("rows", "peaks", "maxima", "digests", "thumbnails")


@dataclass(frozen=True, eq=False)
class ImageStore:
    """The usable pictures of some rows.

    Attributes:
        pixels: ``[images, size, size, channels]`` uint8, or uint16 where any picture has more than 8 bits; one
            channel where all are grey. Memory-mapped.
        rows: ``[images]`` which of the references each picture belongs to.
        peaks: ``[images]`` value of full brightness, nan where the file does not say.
        maxima: ``[images]`` largest value before resizing.
        digests: ``[images, 16]`` uint8, equal for equal pictures.
        thumbnails: ``[images, 32, 32]`` uint8.
        rejects: Reference number and reason of each picture that cannot be used.
    """

    pixels: NDArray[Any]
    rows: NDArray[np.int64]
    peaks: NDArray[np.float32]
    maxima: NDArray[np.int64]
    digests: NDArray[np.uint8]
    thumbnails: NDArray[np.uint8]
    rejects: tuple[tuple[int, str], ...]


def open_store(
    references: Sequence[str],
    square: Square,
    decoding: Decoding,
    cache_dir: Path,
    advance: Callable[[int], None] = lambda done: None,
) -> ImageStore:
    """Map the pictures of these files, decoding them first where that was not done before.

    A file counts as the same while its path, size and times are; a changed one is decoded again.

    Args:
        references: Paths, or ``file.npz::array::index``.
        square: What each picture becomes.
        decoding: How values become pictures.
        cache_dir: Where stores are kept.
        advance: Called with each picture.

    Raises:
        UserError: The cache cannot be written.
    """
    folder = cache_dir / "images" / _key(references, square, decoding)
    was_there = folder.is_dir()
    found = _read(folder, square)
    if found is None:
        if was_there:  # and is damaged: folders are written whole
            shutil.rmtree(folder, ignore_errors=True)
        with filling_cache(folder, "decoded images"), folder_written_whole(folder) as partial:
            _write(partial, references, square, decoding, advance)
            seal(partial)
        found = _read(folder, square)
    assert found is not None
    return found


def _key(references: Sequence[str], square: Square, decoding: Decoding) -> str:
    digest = hashlib.sha256(json.dumps([_FORMAT, asdict(square), asdict(decoding)]).encode())
    known: dict[str, str] = {}
    for reference in references:
        within = inside(reference)
        path = within[0] if within else reference
        if path not in known:
            known[path] = _state(path)
        digest.update(f"{reference}\0{known[path]}\n".encode())
    return digest.hexdigest()[:32]


def _state(path: str) -> str:
    try:
        stat = os.stat(path)
    except OSError:
        return "gone"
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"


def _read(folder: Path, square: Square) -> ImageStore | None:
    if not is_whole(folder):
        return None
    try:
        made = json.loads((folder / "store.json").read_text(encoding="utf-8"))
        arrays = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in _ARRAYS}
        shape = (len(arrays["rows"]), square.size, square.size, made["channels"])
        kind = np.dtype(np.uint16 if made["deep"] else np.uint8)
        file = folder / "pixels.bin"
        if file.stat().st_size != int(np.prod(shape)) * kind.itemsize:
            return None
        # An empty file cannot be mapped.
        pixels = np.memmap(file, dtype=kind, mode="r", shape=shape) if shape[0] else np.zeros(shape, kind)
        return ImageStore(pixels, **arrays, rejects=tuple((int(i), str(reason)) for i, reason in made["rejects"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


@dataclass(frozen=True, eq=False)
class _Seen:
    """What was learned of one reference: a picture, or why there is none."""

    small: NDArray[Any] | None = None
    peak: int | None = None
    maximum: int = 0
    digest: bytes = b""
    thumb: NDArray[np.uint8] | None = None
    reason: str = ""


def _look(reference: str, square: Square, decoding: Decoding) -> _Seen:
    try:
        image = load_image(reference, decoding)
    except UnusableImage as error:
        return _Seen(reason=str(error))
    small = resized(image.pixels, square)
    return _Seen(small, image.peak, int(image.pixels.max()), pixel_digest(image), thumbnail(image))


def load_image(reference: str, decoding: Decoding) -> DecodedImage:
    """Decode what a row refers to.

    Raises:
        UnusableImage: It cannot be used.
    """
    within = inside(reference)
    if within is None:
        return decode(Path(reference), decoding)
    path, name, row = within
    with _ONE_AT_A_TIME:  # or every thread would unpack the whole array at first
        array = _array(path, name, _state(path))
    if not array.ndim or row >= len(array):
        raise UnusableImage(f"is row {row} of an array of {len(array) if array.ndim else 0}")
    return decode_array(array[row], decoding)


@lru_cache(maxsize=4)
def _array(path: str, name: str, state: str) -> NDArray[Any]:
    return read_array(Path(path), name)


def _write(
    folder: Path, references: Sequence[str], square: Square, decoding: Decoding, advance: Callable[[int], None]
) -> None:
    columns: dict[str, list[Any]] = {name: [] for name in _ARRAYS}
    rejects: list[tuple[int, str]] = []
    shapes: list[tuple[int, bool]] = []  # channels, and whether deep, of each picture in the spool
    with (folder / "spool.bin").open("wb") as spool:
        for row, seen in enumerate(_looks(references, square, decoding, advance)):
            if seen.small is None:
                rejects.append((row, seen.reason))
                continue
            spool.write(np.ascontiguousarray(seen.small).tobytes())
            shapes.append((seen.small.shape[2], seen.small.dtype == np.uint16))
            peak = np.nan if seen.peak is None else seen.peak
            learned = (row, peak, seen.maximum, np.frombuffer(seen.digest, np.uint8), seen.thumb)
            for name, value in zip(_ARRAYS, learned, strict=True):
                columns[name].append(value)
    channels, deep = max((c for c, _ in shapes), default=1), any(d for _, d in shapes)
    _settle(folder, shapes, square.size, channels, deep)
    count = len(shapes)
    kinds = {"rows": np.int64, "peaks": np.float32, "maxima": np.int64, "digests": np.uint8, "thumbnails": np.uint8}
    inner = {"digests": (16,), "thumbnails": (32, 32)}
    for name, values in columns.items():
        np.save(folder / f"{name}.npy", np.array(values, kinds[name]).reshape(count, *inner.get(name, ())))
    write_json(folder / "store.json", {"channels": channels, "deep": deep, "rejects": rejects})


def _looks(
    references: Sequence[str], square: Square, decoding: Decoding, advance: Callable[[int], None]
) -> Iterator[_Seen]:
    """Each picture in order, several decoded at a time: Pillow lets other threads run while it works."""
    workers = min(16, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(references), _CHUNK):
            for seen in pool.map(lambda r: _look(r, square, decoding), references[start : start + _CHUNK]):
                yield seen
                advance(1)


def _settle(folder: Path, shapes: Sequence[tuple[int, bool]], size: int, channels: int, deep: bool) -> None:
    """Give all pictures one shape and type, which they mostly have already."""
    spool, final = folder / "spool.bin", folder / "pixels.bin"
    if all(shape == (channels, deep) for shape in shapes):
        spool.rename(final)
        return
    with spool.open("rb") as source, final.open("wb") as target:
        for own_channels, own_deep in shapes:
            picture = _next(source, size, own_channels, own_deep)
            whole = np.broadcast_to(picture, (size, size, channels))
            target.write(np.ascontiguousarray(whole, dtype=np.uint16 if deep else np.uint8).tobytes())
    spool.unlink()


def _next(source: IO[bytes], size: int, channels: int, deep: bool) -> NDArray[Any]:
    kind = np.dtype(np.uint16 if deep else np.uint8)
    raw = source.read(size * size * channels * kind.itemsize)
    return np.frombuffer(raw, kind).reshape(size, size, channels)
