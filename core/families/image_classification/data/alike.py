"""The search for equal and nearly equal pictures.

Two pictures are as similar as their thumbnails correlate. `SIMILAR` is set by chest X-rays, which all look alike.
Of 77 million pairs of synthetic X-rays of different patients (64 pixels), 233 reach 0.990, 3 reach 0.993 and none
0.995; of 17 million in PneumoniaMNIST (28 pixels) none but equal ones pass 0.98. At 0.993 a copy is found, to over
99 %, of a picture of 64 pixels or more after JPEG of quality 50, brightness or contrast changed by a tenth, 16 bits
made 8, or resizing to a half and back; kept at half size, it is found from 128 pixels on. Of 28 pixels, one
JPEG copy in five (quality 50) and most copies resized to a half are missed. A crop of 2 % a side is not found.

Perceptual hashes would be poor at ruling pairs out: of pairs of X-rays, 2 % are within 6 bits of each other. The
bound used here, on the distance along a few axes, leaves 0.01 % of them and misses nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunebook.data.duplicates import Duplicates
from tunebook.families.image_classification.data.fingerprints import SIDE, spectra

SIMILAR = 0.993
"""Similarity from which two pictures count as the same."""
AXES = 64
"""Number of frequencies (the most variable ones) that rule out pairs."""
ROWS, COLUMNS = 512, 2048
"""Pictures compared at once: a product of 4 MB, which stays in the cache."""
CHUNK = 1024
"""Pictures transformed at once: 8 MB."""
PARTNERS = 64
"""Pictures before it that a picture is paired with, at most."""


def find_alike(digests: NDArray[np.uint8], thumbnails: NDArray[np.uint8], threshold: float = SIMILAR) -> Duplicates:
    """Find the equal and the nearly equal pictures.

    A picture whose thumbnail has one value only shows nothing to know it by: it is like none but its equals. No pair
    is missed, except that a picture like more than `PARTNERS` before it is paired with the first of these alone;
    then the result is not complete. 100,000 pictures take 700 MB and, at the default threshold, 20 seconds of one
    core; at lower ones more pairs must be compared in full.

    Args:
        digests: ``[pictures, 16]`` equal where the pixels are.
        thumbnails: ``[pictures, 32, 32]`` grey.
        threshold: Similarity, over 0, from which two pictures are nearly equal; 1.0
            finds equal ones only.

    Returns:
        The duplicates, by position; pairs are sorted by ``left``, then ``right``.
    """
    first = _first_equal(digests)
    nothing = np.zeros(0, np.int64)
    if threshold >= 1.0:
        return Duplicates(first, nothing, nothing, np.zeros(0))
    flat = thumbnails.min(axis=(1, 2)) == thumbnails.max(axis=(1, 2))
    places = np.flatnonzero((first == np.arange(len(first))) & ~flat)
    waves = correlated(thumbnails, places)
    axes = _axes(waves)
    blocks = [_partners(waves, axes, start, threshold) for start in range(0, len(waves), ROWS)]
    left = np.concatenate([nothing, *(block[0] for block in blocks)])
    right = np.concatenate([nothing, *(block[1] for block in blocks)])
    similarity = np.concatenate([np.zeros(0), *(block[2] for block in blocks)])
    order = np.lexsort((right, left))
    complete = all(block[3] for block in blocks)
    return Duplicates(first, places[left[order]], places[right[order]], similarity[order], complete)


def _first_equal(digests: NDArray[np.uint8]) -> NDArray[np.int64]:
    """[pictures] position of the first picture with the same digest."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(digest.tobytes(), i) for i, digest in enumerate(digests)], np.int64)


def correlated(thumbnails: NDArray[np.uint8], places: NDArray[np.int64]) -> NDArray[np.float32]:
    """[places, 1024] each thumbnail less its mean, of length 1, as frequencies.

    The product of two rows is the correlation of the two thumbnails: an orthonormal transform keeps products.
    """
    scale = np.sqrt(np.where(np.arange(SIDE) == 0, 1, 2) / SIDE)  # makes the DCT orthonormal
    waves = np.empty((len(places), SIDE * SIDE), np.float32)
    for start in range(0, len(places), CHUNK):
        part = (spectra(thumbnails[places[start : start + CHUNK]]) * scale[:, None] * scale).reshape(-1, SIDE * SIDE)
        part[:, 0] = 0  # the mean
        waves[start : start + CHUNK] = part / np.sqrt((part**2).sum(axis=1, keepdims=True))
    return waves


def _axes(waves: NDArray[np.float32]) -> NDArray[np.float32]:
    """[pictures, AXES] the frequencies that vary most between the pictures: they rule out the most pairs."""
    if not len(waves):
        return waves[:, :AXES]
    variance = np.einsum("nd,nd->d", waves, waves) / len(waves) - waves.mean(axis=0) ** 2
    return waves[:, np.argsort(-variance, kind="stable")[:AXES]]


def _partners(
    waves: NDArray[np.float32], axes: NDArray[np.float32], start: int, threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], bool]:
    """The pairs of a block of pictures with those before them: left, right, similarity, and whether that is all."""
    stop = min(start + ROWS, len(waves))
    partners = np.zeros(stop - start, np.int64)
    found: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = []
    complete = True
    for low in range(0, stop, COLUMNS):
        high = min(low + COLUMNS, stop)
        # Rows of length 1 with product p are sqrt(2 - 2p) apart, and no farther apart on some of their axes.
        apart = _half_squared_distances(axes[start:stop], axes[low:high])
        near = apart <= 1 - threshold + 1e-5
        if high > start:
            near = np.tril(near, start - low - 1)
        full = partners >= PARTNERS
        complete &= not near[full].any()
        near[full] = False
        i, j = np.nonzero(near)
        similarity = _products(waves[start:stop], waves[low:high], i, j)
        alike = similarity >= threshold
        i, j, similarity = i[alike], j[alike], similarity[alike]
        rank = np.arange(len(i)) - np.searchsorted(i, i) + partners[i]
        partners += np.bincount(i, minlength=len(partners))
        close = rank < PARTNERS
        complete &= bool(close.all())
        found.append((j[close] + low, i[close] + start, similarity[close]))
    left, right, similarity = (np.concatenate(values) for values in zip(*found, strict=True))
    return left, right, similarity, complete


def _half_squared_distances(rows: NDArray[np.float32], columns: NDArray[np.float32]) -> NDArray[np.float32]:
    """[rows, columns] half the squared distance, as one product, which is much faster than a product and two sums."""
    ones = np.ones((len(rows), 1), np.float32), np.ones((len(columns), 1), np.float32)
    lengths = [(values**2).sum(axis=1, keepdims=True) / 2 for values in (rows, columns)]
    apart: NDArray[np.float32] = np.hstack([-rows, lengths[0], ones[0]]) @ np.hstack([columns, ones[1], lengths[1]]).T
    return apart


def _products(
    rows: NDArray[np.float32], columns: NDArray[np.float32], i: NDArray[np.int64], j: NDArray[np.int64]
) -> NDArray[np.float64]:
    """[pairs] product of row i and column j, at most 1."""
    if len(i) > len(rows) * len(columns) // 50:
        products = (rows @ columns.T)[i, j]
    else:
        parts = [np.zeros(0, np.float32)]
        for start in range(0, len(i), CHUNK):
            part = slice(start, start + CHUNK)
            parts.append(np.einsum("nd,nd->n", rows[i[part]], columns[j[part]]))
        products = np.concatenate(parts)
    return np.minimum(products.astype(np.float64), 1.0)
