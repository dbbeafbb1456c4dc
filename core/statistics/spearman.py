"""Spearman's rank correlation on the test rows, so that a resample is a few sums and no sorting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunebook.statistics.outcomes import DIFFERENT, Draws, Values, in_chunks, same_kind


@dataclass(frozen=True, eq=False)
class SpearmanOutcome:
    """Spearman's rank correlation of truth and answer, with mean ranks for ties (Spearman, 1904)."""

    target: Values
    predicted: Values
    groups: NDArray[np.int64] | None
    limits: tuple[float, float] = (-1.0, 1.0)

    @property
    def units(self) -> int:
        """Rows, or groups."""
        return len(self.target) if self.groups is None else int(self.groups.max(initial=-1)) + 1

    @property
    def evidence(self) -> int:
        """All units."""
        return self.units

    def scores(self, counts: Draws) -> Values:
        """Score resamples `[draws, units]`."""
        return in_chunks(
            lambda part: weighted_spearman(self.target, self.predicted, self._of_rows(part)),
            counts,
            4 * len(self.target),
        )

    def exchanged(self, other: SpearmanOutcome, swaps: Draws) -> Values:
        """Score with some units `[draws, units]` answered by another run."""
        same_kind(self, other)
        if not np.array_equal(self.target, other.target):
            raise ValueError(DIFFERENT)
        target, both = np.tile(self.target, 2), np.append(self.predicted, other.predicted)

        def measured(part: Draws) -> Values:
            taken = self._of_rows(part)
            return weighted_spearman(target, both, np.concatenate([1 - taken, taken], axis=1))

        return in_chunks(measured, swaps, 8 * len(self.target))

    def _of_rows(self, counts: Draws) -> Draws:
        return counts if self.groups is None else counts[:, self.groups]


def weighted_spearman(one: Values, other: Values, counts: Draws) -> Values:
    """Spearman's correlation of two columns `[rows]` of which each row occurs so often, `[draws, rows]` -> `[draws]`.

    nan where all rows of a column are equal.
    """
    ranks = [weighted_midranks(column, counts) for column in (one, other)]
    total = np.maximum(counts.sum(1, keepdims=True), 1)
    centred = [rank - (counts * rank).sum(1, keepdims=True) / total for rank in ranks]
    products = [(counts * centred[i] * centred[j]).sum(1) for i, j in ((0, 1), (0, 0), (1, 1))]
    scale = np.sqrt(products[1] * products[2])
    out: Values = np.full(len(counts), np.nan)
    np.divide(products[0], scale, out=out, where=scale > 1e-9)
    return np.clip(out, -1.0, 1.0)


def weighted_midranks(values: Values, counts: Draws) -> Values:
    """Mean rank of each value `[rows]` where each row occurs so often `[draws, rows]`, `[draws, rows]`."""
    distinct, place = np.unique(values, return_inverse=True)
    occur = np.zeros((len(counts), len(distinct)))
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    occur[:] = np.add.reduceat(counts[:, order], starts, axis=1)
    below = np.cumsum(occur, axis=1) - occur
    return np.asarray((below + (occur + 1) / 2)[:, place])
