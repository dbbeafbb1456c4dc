"""A damaged cache is noticed, whatever was done to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tunebook.sealing import is_whole, seal

Damage = Callable[[Path], object]
DAMAGE: dict[str, Damage] = {
    "cut": lambda folder: (folder / "ids.bin").write_bytes(bytes(range(200))),
    "emptied": lambda folder: (folder / "ids.bin").write_bytes(b""),
    "zeros": lambda folder: (folder / "ids.bin").write_bytes(bytes(256)),
    "one byte": lambda folder: (folder / "ids.bin").write_bytes(bytes(range(255)) + b"x"),
    "gone": lambda folder: (folder / "ids.bin").unlink(),
    "one more": lambda folder: (folder / "other.bin").write_bytes(b""),
    "seal emptied": lambda folder: (folder / "seal.json").write_bytes(b""),
    "seal gone": lambda folder: (folder / "seal.json").unlink(),
    "seal of something else": lambda folder: (folder / "seal.json").write_text("[]"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_noticed(tmp_path: Path, kind: str) -> None:
    (tmp_path / "ids.bin").write_bytes(bytes(range(256)))
    (tmp_path / "offsets.npy").write_bytes(b"0123")
    seal(tmp_path)
    assert is_whole(tmp_path)
    DAMAGE[kind](tmp_path)
    assert not is_whole(tmp_path)


@pytest.mark.parametrize("part", [0, 0.25, 0.5, 0.9])
def test_a_stretch_of_zeros_in_a_large_file_is_noticed(tmp_path: Path, part: float) -> None:
    """Of 256 MiB, of which a quarter is looked at: what a file system lost is at least as long as a megabyte."""
    size, block = 256 << 20, bytes(range(1, 256)) * 257
    with (tmp_path / "pixels.bin").open("wb") as stream:
        for _ in range(size // len(block)):
            stream.write(block)
    seal(tmp_path)
    assert is_whole(tmp_path)
    with (tmp_path / "pixels.bin").open("r+b") as stream:
        stream.seek(int(part * size) + 12345)
        stream.write(bytes(1 << 20))
    assert not is_whole(tmp_path)


def test_folders_that_are_not_there_are_not_whole(tmp_path: Path) -> None:
    assert not is_whole(tmp_path / "nowhere") and not is_whole(tmp_path)
