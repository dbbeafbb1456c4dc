"""The search for nearly equal texts.

Two texts are near duplicates from a Jaccard similarity t of their sets of word 3-grams. Sets that are that
alike share one of their few rarest members: of n members, one of the first n - ceil(t n) + 1 in any order
that is the same for all texts (prefix filter: Chaudhuri et al., ICDE 2006; Bayardo et al., WWW 2007). Only
texts that do are compared, so nothing is random and, unlike with MinHash, nothing is missed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tunebook.data.grams import HASH_BITS, GramSets, Hashes, gram_sets

LARGE_GROUP = 64
"""Texts with one rare 3-gram in common up to which every pair of them is compared."""
PIVOTS = 32
"""In a larger group, this many texts are compared with all others."""
AT_ONCE, LONG_CHUNK = 1 << 9, 1 << 18
"""Texts that are taken apart together, and their characters: few enough for the arrays to stay in the cache."""
MOST_PAIRS = 1 << 21
"""Pairs that are held at a time."""
_COMPARED, _COMPARED_SIZE = 1 << 11, 1 << 20  # pairs that are compared at a time, and 3-grams of their sets
Positions = NDArray[np.int64]
Found = dict[tuple[int, int], float]


def find_near(
    texts: pa.ChunkedArray, distinct: Positions, threshold: float
) -> tuple[Positions, Positions, NDArray[np.float64], bool]:
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
    rare = _rare_grams(texts, distinct, threshold)
    order = np.argsort(rare.hashes, kind="stable")  # each text's in the order of the texts
    hashes, owners = rare.hashes[order], rare.owners[order]
    starts = np.flatnonzero(np.r_[True, hashes[1:] != hashes[:-1]]) if len(hashes) else np.zeros(0, np.int64)
    counts = np.diff(np.r_[starts, len(hashes)])
    compare = _Comparison(texts, rare.sizes, threshold)
    found: Found = {}
    for left, right in _pairs(owners, starts, counts, compare):
        found.update(compare(left, right))
    large = counts > LARGE_GROUP
    complete = True
    for start, size in zip(starts[large].tolist(), counts[large].tolist(), strict=True):
        complete &= _compare_pivots(owners[start : start + size], compare, found)
    pairs = sorted(found)
    ends = np.array(pairs, np.int64).reshape(-1, 2)
    return ends[:, 0], ends[:, 1], np.array([found[pair] for pair in pairs]), complete


class _Comparison:
    """Jaccard similarity of texts by position, many pairs at a time.

    Args:
        texts: [texts] strings.
        sizes: [texts] number of 3-grams in each.
        threshold: Similarity from which a pair is found.
    """

    def __init__(self, texts: pa.ChunkedArray, sizes: Positions, threshold: float) -> None:
        self._texts, self._sizes, self._threshold = texts, sizes, threshold

    def can_be_alike(self, left: Positions, right: Positions) -> NDArray[np.bool_]:
        """[pairs] False where the sizes alone keep the similarity under the threshold."""
        a, b = self._sizes[left], self._sizes[right]
        possible: NDArray[np.bool_] = np.minimum(a, b) >= self._threshold * np.maximum(a, b)
        return possible

    def __call__(self, left: Positions, right: Positions) -> Found:
        """The pairs that are alike, with their similarity."""
        possible = self.can_be_alike(left, right)
        left, right = left[possible], right[possible]
        found: Found = {}
        for start, stop in _batches(self._sizes[left] + self._sizes[right]):
            i, j = left[start:stop], right[start:stop]
            shared = self._shared(i, j)
            similarity = shared / (self._sizes[i] + self._sizes[j] - shared)
            alike = similarity >= self._threshold
            pairs = zip(i[alike].tolist(), j[alike].tolist(), strict=True)
            found.update(zip(pairs, similarity[alike].tolist(), strict=True))
        return found

    def _shared(self, left: Positions, right: Positions) -> Positions:
        """[pairs] number of 3-grams that both texts have, of at most 4096 pairs."""
        wanted, places = np.unique(np.r_[left, right], return_inverse=True)
        sets = [part for _, part in _sets(self._texts, wanted)]
        hashes = np.concatenate([part.hashes for part in sets])
        starts = np.r_[0, np.cumsum(self._sizes[wanted])]
        pairs = np.arange(len(left), dtype=np.uint64)
        sides = (_keyed(hashes, starts, side, pairs) for side in (places[: len(left)], places[len(left) :]))
        keys = np.sort(np.concatenate(list(sides)))
        both = keys[1:][keys[1:] == keys[:-1]] >> HASH_BITS
        return np.bincount(both.astype(np.int64), minlength=len(left))


def _batches(sizes: Positions) -> Iterator[tuple[int, int]]:
    """Where batches of pairs of these sizes start and stop."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = ends[start - 1] if start else 0
        full = int(np.searchsorted(ends, before + _COMPARED_SIZE, side="right"))
        stop = min(max(full, start + 1), start + _COMPARED)
        yield start, stop
        start = stop


def _keyed(hashes: Hashes, starts: Positions, side: Positions, pairs: Hashes) -> Hashes:
    """The sets of one side of some pairs, each hash with the number of its pair."""
    sizes = starts[side + 1] - starts[side]
    within = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    keyed: Hashes = (np.repeat(pairs, sizes) << HASH_BITS) | hashes[np.repeat(starts[side], sizes) + within]
    return keyed


def _pairs(
    owners: Positions, starts: Positions, sizes: Positions, compare: _Comparison
) -> Iterator[tuple[Positions, Positions]]:
    """All pairs within each group of up to `LARGE_GROUP` texts that can be alike."""
    span = int(owners.max()) + 1 if len(owners) else 1
    codes: list[Positions] = []
    held = 0
    for size in range(2, LARGE_GROUP + 1):
        groups = starts[sizes == size]
        i, j = np.triu_indices(size, 1)
        at_once = max(1, MOST_PAIRS // len(i))
        for offset in range(0, len(groups), at_once):
            members = owners[groups[offset : offset + at_once, None] + np.arange(size)]
            left, right = members[:, i].ravel(), members[:, j].ravel()
            possible = compare.can_be_alike(left, right)
            codes.append(np.unique(left[possible] * span + right[possible]))
            held += len(codes[-1])
            if held > MOST_PAIRS:
                pairs = np.unique(np.concatenate(codes))
                yield pairs // span, pairs % span
                codes, held = [], 0
    if codes:
        pairs = np.unique(np.concatenate(codes))
        yield pairs // span, pairs % span


def _compare_pivots(members: Positions, compare: _Comparison, found: Found) -> bool:
    """Compare the first member with all, go on with those unlike it; False when some are left over."""
    for _ in range(PIVOTS):
        if len(members) < 2:
            return True
        pivot, others = members[0], members[1:]
        alike = compare(np.full(len(others), pivot), others)
        found.update(alike)
        members = others[~np.isin(others, [other for _, other in alike])]
    return len(members) < 2


def _sets(texts: pa.ChunkedArray, wanted: Positions) -> Iterator[tuple[Positions, GramSets]]:
    """Some positions (ascending) and the sets of 3-grams of their texts, some hundreds at a time."""
    done = 0
    for part in _picked(texts, wanted):
        yield wanted[done : done + len(part)], gram_sets(part)
        done += len(part)


def _picked(texts: pa.ChunkedArray, wanted: Positions) -> Iterator[list[str]]:
    """The texts at some positions (ascending), some hundreds at a time."""
    held: list[str] = []
    start = size = 0
    for chunk in texts.chunks:
        low, high = np.searchsorted(wanted, [start, start + len(chunk)])
        for text in chunk.take(pa.array(wanted[low:high] - start)).to_pylist() if high > low else ():
            held.append(text)
            size += len(text)
            if len(held) == AT_ONCE or size >= LONG_CHUNK:
                yield held
                held, size = [], 0
        start += len(chunk)
    if held:
        yield held


@dataclass(frozen=True)
class _RareGrams:
    """The rarest 3-grams of texts.

    Attributes:
        hashes: [grams] their hashes.
        owners: [grams] position of the text that each is from, ascending.
        sizes: [texts] number of all 3-grams of each text; 0 where it was not asked for.
    """

    hashes: Hashes
    owners: Positions
    sizes: Positions


def _rare_grams(texts: pa.ChunkedArray, distinct: Positions, threshold: float) -> _RareGrams:
    """The rarest grams of each text, as many as two similar texts must share one of."""
    bits = min(max(math.ceil(math.log2(len(distinct) + 1)) + 7, 16), 26)
    mask = np.uint64((1 << bits) - 1)
    # How often each gram occurs, roughly: a byte a bucket. Any order would do; rare first leaves few pairs.
    seen = np.zeros(1 << bits, np.uint8)
    for _, sets in _sets(texts, distinct):
        buckets, counts = np.unique((sets.hashes & mask).astype(np.uint32), return_counts=True)
        seen[buckets] = np.minimum(seen[buckets] + counts, 255)
    hashes, owners = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    sizes = np.zeros(len(texts), np.int64)
    for positions, sets in _sets(texts, distinct):
        often = seen[sets.hashes & mask]
        # By text, then by how often, then by hash: the texts stand together already.
        order = np.lexsort((often, sets.owners))
        found, by, often = sets.hashes[order], sets.owners[order], often[order]
        count = np.diff(sets.starts)
        rank = np.arange(len(by)) - np.repeat(sets.starts[:-1], count)
        prefix = count - np.ceil(threshold * count - 1e-9).astype(np.int64) + 1
        keep = (rank < prefix[by]) & (often > 1)
        hashes.append(found[keep])
        owners.append(positions[by[keep]])
        sizes[positions] = count
    return _RareGrams(np.concatenate(hashes), np.concatenate(owners), sizes)
