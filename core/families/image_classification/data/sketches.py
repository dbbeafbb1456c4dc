"""Short marks of pictures that a model has seen, by which rescaled and re-encoded copies are known again.

A sketch is on which side of 1024 random planes a picture's thumbnail lies. Two thumbnails of correlation r are
``acos(r)`` apart, and differ in as many of 1024 bits as that is of half a turn: 39 at `SIMILAR`, 65 at a correlation of
0.98, give or take 8. Copies by JPEG or resizing correlate by 0.997 and more (25 bits or fewer).
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.bundle.seen import known_array
from tunebook.families.image_classification.data.alike import correlated
from tunebook.families.image_classification.data.fingerprints import SIDE
from tunebook.files import write_atomically

FILE = "seen_images.npy"
BITS = 1024
MOST_DIFFERENT = 36
"""Bits in which the sketches of two copies differ at most."""
_BLOCK = 4096
"""Sketches compared with at once."""


def sketches(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The sketch of each thumbnail, ``[pictures, 32, 32]`` -> ``[pictures, 128]``; all 0 of one that shows nothing."""
    places = np.flatnonzero(thumbnails.min(axis=(1, 2)) != thumbnails.max(axis=(1, 2)))
    found = np.zeros((len(thumbnails), BITS // 8), np.uint8)
    found[places] = np.packbits(correlated(thumbnails, places) @ _planes() > 0, axis=1)
    return found


@cache
def _planes() -> NDArray[np.float32]:
    """The normals of the planes, ``[1024, 1024]``: sums of four bytes of a hash, the same on any machine."""
    raw = np.frombuffer(hashlib.shake_256(b"tunebook sketches").digest(SIDE * SIDE * BITS * 4), np.uint8)
    planes: NDArray[np.float32] = raw.reshape(SIDE * SIDE, BITS, 4).sum(axis=2, dtype=np.float32) - 510
    return planes


def copies(of: NDArray[np.uint8], known: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Positions of the sketches that are nearly the same as one that is known.

    Args:
        of: ``[pictures, 128]``.
        known: ``[others, 128]``.
    """
    shown = np.flatnonzero(of.any(axis=1))
    signs, found = _signs(of[shown]), np.zeros(len(shown), bool)
    for start in range(0, len(known), _BLOCK):
        block = known[start : start + _BLOCK]
        different = (BITS - signs @ _signs(block[block.any(axis=1)]).T) / 2
        found |= (different <= MOST_DIFFERENT).any(axis=1)
    return shown[found]


def _signs(sketched: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[pictures, 1024] the bits as 1 and -1."""
    return np.unpackbits(sketched, axis=1).astype(np.float32) * 2 - 1


def write_sketches(folder: Path, thumbnails: NDArray[np.uint8]) -> None:
    """Write the sketches of all pictures that shaped the model, sorted."""
    found = np.unique(sketches(thumbnails), axis=0)
    write_atomically(folder / FILE, lambda stream: np.save(stream, found))


def read_sketches(folder: Path) -> NDArray[np.uint8]:
    """The sketches of a bundle, ``[pictures, 128]``; none of one that an earlier version wrote.

    Raises:
        UserError: The file is damaged.
    """
    if not (folder / FILE).exists():
        return np.zeros((0, BITS // 8), np.uint8)
    wrong = "is damaged: copies of images that the model was trained on cannot be recognised"
    return known_array(folder / FILE, wrong, _are_sketches)


def _are_sketches(found: NDArray[Any]) -> bool:
    return found.dtype == np.uint8 and found.ndim == 2 and found.shape[1] == BITS // 8
