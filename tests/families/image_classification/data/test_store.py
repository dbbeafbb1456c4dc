"""Pictures are decoded once, kept as they were decoded, and decoded again when their file is another."""

from __future__ import annotations

import os
import resource
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.diagnosed import picture
from tests.user_error import user_error
from tunebook.families.image_classification.data import store as store_module
from tunebook.families.image_classification.data.decoded import Decoding
from tunebook.families.image_classification.data.resize import Square
from tunebook.families.image_classification.data.store import ImageStore, open_store

SIZE = 16


def opened(cache: Path, *references: object, size: int = SIZE, decoding: Decoding | None = None) -> ImageStore:
    return open_store([str(r) for r in references], Square(size), decoding or Decoding(), cache, lambda done: None)


def save(path: Path, pixels: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def written(cache: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of each file in the cache."""
    files = (p for p in cache.rglob("*") if p.is_file())
    return {str(p.relative_to(cache)): (p.stat().st_ino, p.stat().st_mtime_ns) for p in files}


def square(seed: int) -> Any:
    return picture(seed, (SIZE, SIZE))


def test_the_same_pictures_are_read_from_the_cache(tmp_path: Path) -> None:
    files = [save(tmp_path / f"{i}.png", picture(i)) for i in range(5)]
    first = opened(tmp_path / "cache", *files)
    before = written(tmp_path / "cache")
    again = opened(tmp_path / "cache", *files)
    assert before and written(tmp_path / "cache") == before
    for name in ("pixels", "rows", "peaks", "maxima", "digests", "thumbnails"):
        np.testing.assert_array_equal(getattr(again, name), getattr(first, name))
    assert isinstance(again.pixels, np.memmap) and not again.pixels.flags.writeable


@pytest.mark.parametrize("change", ["content", "replaced", "touched", "order", "size", "window"])
def test_what_could_change_a_picture_makes_another_store(tmp_path: Path, change: str) -> None:
    files = [save(tmp_path / f"{i}.png", square(i)) for i in range(3)]
    opened(tmp_path / "cache", *files)
    before, size, decoding = len(written(tmp_path / "cache")), SIZE, Decoding()
    if change == "content":
        save(files[1], square(77))
    elif change == "replaced":  # of one size and one time
        stat = files[1].stat()
        new = save(tmp_path / "new.png", square(77))
        files[1].write_bytes(new.read_bytes())
        os.utime(files[1], ns=(stat.st_atime_ns, stat.st_mtime_ns))
    elif change == "touched":
        os.utime(files[1], ns=(0, 0))
    elif change == "order":
        files.reverse()
    elif change == "size":
        size = 2 * SIZE
    else:
        decoding = Decoding(window=(40, 400))
    again = opened(tmp_path / "cache", *files, size=size, decoding=decoding)
    assert len(written(tmp_path / "cache")) == 2 * before
    if size == SIZE:
        for i, file in enumerate(files):
            np.testing.assert_array_equal(again.pixels[i, ..., 0], np.asarray(Image.open(file)))


def test_grey_and_colour_of_8_and_16_bits_are_kept_to_the_last_bit(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    pictures = {
        "grey": square(0),
        "colour": draw.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8),
        "deep": draw.integers(0, 65536, (SIZE, SIZE), dtype=np.uint16),
        "twelve": draw.integers(0, 4096, (SIZE, SIZE), dtype=np.uint16),
    }
    for name, pixels in pictures.items():
        save(tmp_path / f"{name}.png", pixels)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    names = ["grey", "broken", "colour", "deep", "twelve"]
    store = opened(tmp_path / "cache", *(tmp_path / f"{name}.png" for name in names))
    assert (store.pixels.shape, store.pixels.dtype) == ((4, SIZE, SIZE, 3), np.uint16)
    assert store.rows.tolist() == [0, 2, 3, 4]
    assert [row for row, _ in store.rejects] == [1]
    for i, (pixels, opened_again) in enumerate(
        zip(pictures.values(), (np.asarray(Image.open(tmp_path / f"{n}.png")) for n in pictures), strict=True)
    ):
        np.testing.assert_array_equal(pixels, opened_again)
        expected = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
        np.testing.assert_array_equal(store.pixels[i], expected)
    np.testing.assert_array_equal(store.peaks, np.array([255, 255, np.nan, np.nan], np.float32))
    assert store.maxima.tolist() == [int(p.max()) for p in pictures.values()]


def test_stores_of_one_kind_stay_of_that_kind(tmp_path: Path) -> None:
    grey = opened(tmp_path / "cache", *(save(tmp_path / f"g{i}.png", square(i)) for i in range(2)))
    assert (grey.pixels.shape, grey.pixels.dtype) == ((2, SIZE, SIZE, 1), np.uint8)
    deep = opened(tmp_path / "cache", save(tmp_path / "d.png", square(9).astype(np.uint16) * 257))
    assert (deep.pixels.shape, deep.pixels.dtype) == ((1, SIZE, SIZE, 1), np.uint16)


def test_more_pictures_than_are_decoded_ahead_keep_their_order(tmp_path: Path) -> None:
    count = store_module._CHUNK + 44
    stacked = np.stack([square(i) for i in range(count)])
    np.savez(tmp_path / "many.npz", images=stacked)
    told: list[int] = []
    references = [f"{tmp_path}/many.npz::images::{i}" for i in range(count)]
    store = open_store(references, Square(SIZE), Decoding(), tmp_path / "cache", told.append)
    np.testing.assert_array_equal(store.pixels[..., 0], stacked)
    assert sum(told) == count


def test_no_usable_picture_is_an_empty_store(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    store = opened(tmp_path / "cache", tmp_path / "a.png", tmp_path / "gone.png")
    assert store.pixels.shape == (0, SIZE, SIZE, 1) and len(store.digests) == 0
    assert [row for row, _ in store.rejects] == [0, 1]
    assert "0 bytes" in store.rejects[0][1]


def test_a_picture_that_comes_back_is_looked_at_again(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    assert len(opened(tmp_path / "cache", file).rows) == 0
    save(file, square(0))
    assert len(opened(tmp_path / "cache", file).rows) == 1


@pytest.mark.parametrize("harm", ["cut", "zeros", "json", "array", "gone"])
def test_a_store_that_was_damaged_is_made_again(tmp_path: Path, harm: str) -> None:
    files = [save(tmp_path / f"{i}.png", square(i)) for i in range(3)]
    opened(tmp_path / "cache", *files)
    (folder,) = (tmp_path / "cache" / "images").iterdir()
    if harm == "cut":
        (folder / "pixels.bin").write_bytes(b"short")
    elif harm == "zeros":
        (folder / "pixels.bin").write_bytes(bytes((folder / "pixels.bin").stat().st_size))
    elif harm == "json":
        (folder / "store.json").write_text("{")
    elif harm == "array":
        (folder / "digests.npy").write_bytes(b"no array")
    else:
        (folder / "pixels.bin").unlink()
    store = opened(tmp_path / "cache", *files)
    np.testing.assert_array_equal(store.pixels[..., 0], np.stack([square(i) for i in range(3)]))
    assert list((tmp_path / "cache" / "images").iterdir()) == [folder]


def test_two_at_once_get_the_same(tmp_path: Path) -> None:
    files = [save(tmp_path / f"{i}.png", square(i)) for i in range(40)]
    found: list[ImageStore] = []
    threads = [threading.Thread(target=lambda: found.append(opened(tmp_path / "cache", *files))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for store in found:
        np.testing.assert_array_equal(store.pixels[..., 0], np.stack([square(i) for i in range(40)]))
    assert len(list((tmp_path / "cache" / "images").iterdir())) == 1


def test_a_cache_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    file = save(tmp_path / "a.png", square(0))
    (tmp_path / "cache").write_text("a file where a folder should be")
    with user_error("file.cache-not-writable", match="the decoded images cannot be saved") as caught:
        opened(tmp_path / "cache", file)
    assert "data.cache_dir=" in str(caught.value.fix)


def test_a_disk_without_room_leaves_nothing_half_written(tmp_path: Path) -> None:
    files = [save(tmp_path / f"{i}.png", square(i)) for i in range(40)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))  # bytes; the pixels are 10,240
    try:
        with user_error("file.cache-not-writable"):
            opened(tmp_path / "cache", *files)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert written(tmp_path / "cache") == {}
    assert len(opened(tmp_path / "cache", *files).rows) == 40
