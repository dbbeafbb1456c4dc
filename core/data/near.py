"""The search for nearly equal texts.

Two texts are near duplicates from a Jaccard similarity t of their sets of word 3-grams. Sets that are that
alike share one of their few rarest members: of n members, one of the first n - ceil(t n) + 1 in any order
that is the same for all texts (prefix filter: Chaudhuri et al., ICDE 2006; Bayardo et al., WWW 2007). Only
texts that do are compared, so nothing is random and, unlike with MinHash, nothing is missed.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from zlib import crc32

import numpy as np
import pyarrow as pa

WORD = re.compile(r"\w+")
CHUNK = 4096
LARGE_GROUP = 64
"""Texts with one rare 3-gram in common up to which every pair of them is compared."""
PIVOTS = 32
"""In a larger group, this many texts are compared with all others."""
CACHED_SETS = 1 << 14


def normalise(text: str) -> str:
    """Fold what the eye does not tell apart: NFKC, case, white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def find_near(
    texts: pa.ChunkedArray, distinct: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Find the pairs of texts with a Jaccard similarity of at least ``threshold``.

    Punctuation and case do not count. Texts of fewer than three words have no 3-gram and are in no pair.
    Memory grows with the number of texts and not with their length.

    Args:
        texts: [texts] strings.
        distinct: Positions of the texts to compare, ascending.
        threshold: Similarity, over 0 and under 1.

    Returns:
        [pairs] left and [pairs] right position (left < right), [pairs] similarity, and False when not all
        that can be alike was compared. Where over `LARGE_GROUP` texts share a rare 3-gram, the first of them
        is compared with the others, then the first of those unlike it, up to `PIVOTS` times.
    """
    compare = _Comparison(texts)
    grams, owners = _rare_grams(texts, distinct, threshold)
    order = np.lexsort((owners, grams))
    grams, owners = grams[order], owners[order]
    starts = np.flatnonzero(np.r_[True, grams[1:] != grams[:-1]]) if len(grams) else np.zeros(0, np.int64)
    sizes = np.diff(np.r_[starts, len(grams)])
    found: dict[tuple[int, int], float] = {}
    for left, right in _pairs(owners, starts, sizes):
        for i, j in zip(left.tolist(), right.tolist(), strict=True):
            similarity = compare(i, j, threshold)
            if similarity >= threshold:
                found[i, j] = similarity
    large = sizes > LARGE_GROUP
    complete = True
    for start, size in zip(starts[large].tolist(), sizes[large].tolist(), strict=True):
        complete &= _compare_pivots(owners[start : start + size].tolist(), compare, threshold, found)
    pairs = sorted(found)
    ends = np.array(pairs, np.int64).reshape(-1, 2)
    return ends[:, 0], ends[:, 1], np.array([found[pair] for pair in pairs]), complete


class _Comparison:
    """True Jaccard similarity of two texts by position; the sets last used are kept."""

    def __init__(self, texts: pa.ChunkedArray) -> None:
        self._texts = texts
        self._set = lru_cache(CACHED_SETS)(self._read)

    def _read(self, i: int) -> frozenset[tuple[str, str, str]]:
        words = WORD.findall(normalise(self._texts[i].as_py()))
        return frozenset(zip(words, words[1:], words[2:], strict=False))

    def __call__(self, i: int, j: int, threshold: float) -> float:
        """Similarity of two texts; 0.0 where their sizes alone keep it under the threshold."""
        a, b = self._set(i), self._set(j)
        if min(len(a), len(b)) < threshold * max(len(a), len(b)):
            return 0.0
        shared = len(a & b)
        return shared / (len(a) + len(b) - shared)


def _pairs(owners: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All pairs within each group of up to `LARGE_GROUP` texts, each pair once."""
    codes = [np.zeros(0, np.int64)]
    span = int(owners.max()) + 1 if len(owners) else 1
    for size in range(2, LARGE_GROUP + 1):
        groups = starts[sizes == size]
        if not len(groups):
            continue
        members = owners[groups[:, None] + np.arange(size)]
        i, j = np.triu_indices(size, 1)
        codes.append(np.unique(members[:, i].ravel() * span + members[:, j].ravel()))
    pairs = np.unique(np.concatenate(codes))
    for offset in range(0, len(pairs), 1 << 20):
        part = pairs[offset : offset + (1 << 20)]
        yield part // span, part % span


def _compare_pivots(
    members: list[int], compare: _Comparison, threshold: float, found: dict[tuple[int, int], float]
) -> bool:
    """Compare the first member with all, go on with those unlike it; False when some are left over."""
    for _ in range(PIVOTS):
        if len(members) < 2:
            return True
        pivot, unlike = members[0], []
        for other in members[1:]:
            similarity = compare(pivot, other, threshold)
            if similarity >= threshold:
                found[pivot, other] = similarity
            else:
                unlike.append(other)
        members = unlike
    return len(members) < 2


def _picked(texts: pa.ChunkedArray, wanted: np.ndarray) -> Iterator[tuple[np.ndarray, list[str]]]:
    """Some positions (ascending) and their texts, a chunk at a time."""
    start = 0
    for chunk in texts.chunks:
        for offset in range(0, len(chunk), CHUNK):
            part = chunk.slice(offset, CHUNK)
            low, high = np.searchsorted(wanted, [start + offset, start + offset + len(part)])
            if high > low:
                here = wanted[low:high]
                yield here, part.take(pa.array(here - start - offset)).to_pylist()
        start += len(chunk)


def _grams(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The sets of word 3-grams of some texts: 64-bit hashes, and the number of the text that each is from."""
    words = [WORD.findall(normalise(text)) for text in texts]
    counts = np.array([len(found) for found in words])
    codes = np.fromiter((crc32(word.encode()) for found in words for word in found), np.uint64, int(counts.sum()))
    owners = np.repeat(np.arange(len(texts)), counts)
    whole = owners[:-2] == owners[2:]
    hashes = mix(mix(mix(codes[:-2]) + codes[1:-1]) + codes[2:])[whole]
    owners = owners[:-2][whole]
    order = np.lexsort((hashes, owners))
    hashes, owners = hashes[order], owners[order]
    fresh = np.ones(len(hashes), bool)
    fresh[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
    return hashes[fresh], owners[fresh]


def mix(values: np.ndarray) -> np.ndarray:
    """Spread 64-bit values evenly (the finaliser of SplitMix64, Steele et al., OOPSLA 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = values ^ (values >> np.uint64(31))
    return mixed


def _rare_grams(texts: pa.ChunkedArray, distinct: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """The rarest grams of each text, as many as two similar texts must share one of."""
    bits = min(max(math.ceil(math.log2(len(distinct) + 1)) + 7, 16), 26)
    mask = np.uint64((1 << bits) - 1)
    # How often each gram occurs, roughly: a byte a bucket. Any order would do; rare first leaves few pairs.
    seen = np.zeros(1 << bits, np.uint8)
    for _, part in _picked(texts, distinct):
        buckets, counts = np.unique(_grams(part)[0] & mask, return_counts=True)
        seen[buckets] = np.minimum(seen[buckets] + counts, 255)
    kept_grams, kept_owners = [], []
    for positions, part in _picked(texts, distinct):
        hashes, owners = _grams(part)
        often = seen[hashes & mask]
        order = np.lexsort((hashes, often, owners))
        hashes, owners, often = hashes[order], owners[order], often[order]
        sizes = np.bincount(owners, minlength=len(part))
        rank = np.arange(len(owners)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        prefix = sizes - np.ceil(threshold * sizes - 1e-9).astype(np.int64) + 1
        keep = (rank < prefix[owners]) & (often > 1)
        kept_grams.append(hashes[keep])
        kept_owners.append(positions[owners[keep]])
    if not kept_grams:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    return np.concatenate(kept_grams), np.concatenate(kept_owners)
