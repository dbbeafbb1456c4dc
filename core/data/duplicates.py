"""Texts that say the same: equal ones by hash, nearly equal ones by shared word 3-grams."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tunebook.data.grams import normalise
from tunebook.data.near import find_near


@dataclass(frozen=True)
class Duplicates:
    """Which texts say the same.

    Attributes:
        first: [texts] position of the first text that equals this one, once normalised.
        left: [pairs] position of a first text, lower than ``right``.
        right: [pairs] position of a first text that is nearly equal to ``left``.
        similarity: [pairs] Jaccard similarity of the two.
        complete: False when some texts share so much wording that not every pair was compared.
    """

    first: np.ndarray
    left: np.ndarray
    right: np.ndarray
    similarity: np.ndarray
    complete: bool = True


def find_duplicates(texts: pa.ChunkedArray, threshold: float) -> Duplicates:
    """Find the equal and the nearly equal texts of a column.

    Memory grows with the number of texts and not with their length.

    Args:
        texts: [texts] strings.
        threshold: Jaccard similarity from which two texts are nearly equal; 1.0 finds equal ones only.
    """
    first = _first_equal(texts)
    nothing = np.zeros(0, np.int64)
    if threshold >= 1.0:
        return Duplicates(first, nothing, nothing, np.zeros(0))
    distinct = np.flatnonzero(first == np.arange(len(first)))
    return Duplicates(first, *find_near(texts, distinct, threshold))


def clusters(found: Duplicates, groups: np.ndarray | None = None) -> np.ndarray:
    """Number the sets of texts that must stay together.

    Args:
        found: The duplicates among the texts.
        groups: [texts] equal where two texts belong together for another reason; -1: nowhere.

    Returns:
        [texts] the lowest position in each text's set.
    """
    parent = list(range(len(found.first)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    def join(i: int, j: int) -> None:
        low, high = sorted((root(i), root(j)))
        parent[high] = low

    for i in np.flatnonzero(found.first != np.arange(len(parent))).tolist():
        join(i, int(found.first[i]))
    for i, j in zip(found.left.tolist(), found.right.tolist(), strict=True):
        join(i, j)
    if groups is not None:
        heads: dict[int, int] = {}
        for i, group in enumerate(groups.tolist()):
            if group >= 0:
                join(i, heads.setdefault(group, i))
    return np.array([root(i) for i in range(len(parent))], dtype=np.int64)


def _first_equal(texts: pa.ChunkedArray) -> np.ndarray:
    """[texts] position of the first text with the same 128-bit hash."""

    def digest(text: str) -> bytes:
        return hashlib.blake2b(normalise(text).encode("utf-8"), digest_size=16).digest()

    digests = [b"".join(map(digest, chunk.to_pylist())) for chunk in texts.chunks]
    keys = np.frombuffer(b"".join(digests), np.uint64).reshape(-1, 2)
    order = np.lexsort((keys[:, 1], keys[:, 0]))  # equal ones in the order of the texts
    fresh = np.ones(len(order), bool)
    fresh[1:] = (keys[order[1:]] != keys[order[:-1]]).any(axis=1)
    first = np.empty(len(order), np.int64)
    first[order] = order[fresh][np.cumsum(fresh) - 1]
    return first
