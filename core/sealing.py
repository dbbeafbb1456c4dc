"""A cache that was damaged is noticed: a seal beside its files says what is in them.

A file of up to 64 MiB is read whole, of a larger one 1,024 blocks of 64 KiB, evenly spread: a power cut that leaves
zeros, a cut file and a wrong one are found, in a tenth of a second.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from tunebook.files import write_json
from tunebook.untrusted import read_json

SEAL = "seal.json"
_BLOCK = 1 << 16
_BLOCKS = 1024


def seal(folder: Path) -> None:
    """Write what the files of a folder hold, as the last of them."""
    write_json(folder / SEAL, {path.name: _digest(path) for path in _files(folder)})


def is_whole(folder: Path) -> bool:
    """Whether the files of a folder are those that were sealed."""
    try:
        sealed = read_json(folder / SEAL)
        return bool(sealed == {path.name: _digest(path) for path in _files(folder)})
    except (OSError, ValueError):
        return False


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and path.name != SEAL)


def _digest(path: Path) -> str:
    size = path.stat().st_size
    digest = hashlib.blake2b(f"{size}\n".encode(), digest_size=16)
    count = min(_BLOCKS, -(-size // _BLOCK))
    with path.open("rb") as stream:
        for number in range(count):
            # The first block at the start, the last one at the end, the others evenly between.
            stream.seek(number * max(0, size - _BLOCK) // max(1, count - 1) if count == _BLOCKS else number * _BLOCK)
            digest.update(stream.read(_BLOCK))
    return digest.hexdigest()
