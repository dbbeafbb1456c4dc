"""How many of the n-grams of all answers are different ones (Li et al., 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.families.text_generation.metrics.scripts import words
from tunebook.statistics.draws import group_numbers
from tunebook.statistics.intervals import UNDEFINED, Score
from tunebook.statistics.sums import SAME


@dataclass(frozen=True, eq=False)
class DistinctNgrams:
    """Which n-grams occur in which unit: a row, or a group of rows.

    Resampling does not fit this measure: a unit drawn twice brings nothing new, and every resample would have
    fewer different n-grams than the rows. Leaving out one unit after the other does (the jackknife), and is never
    too sure in the mean (Efron & Stein, 1981).
    """

    name: str
    rows: int
    """Rows with at least one n-gram."""
    names: list[tuple[str, ...]]
    """The different n-grams, by their number."""
    ngrams: NDArray[np.int64]
    """Number of an n-gram that occurs in a unit, rising, `[pairs]`."""
    units: NDArray[np.int64]
    """The unit that it occurs in, `[pairs]`; each pair is there once."""
    totals: NDArray[np.float64]
    """All n-grams of each unit, `[units]`."""

    def share(self, taken: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Different n-grams as a share of all in the units taken, `[draws, units]` -> `[draws]`."""
        total = taken @ self.totals
        different = np.zeros(len(taken))
        if len(self.ngrams):
            starts = np.flatnonzero(np.diff(self.ngrams, prepend=-1))
            different = np.logical_or.reduceat(taken[:, self.units], starts, axis=1).sum(1).astype(np.float64)
        return np.asarray(np.divide(different, total, out=np.full(len(taken), np.nan), where=total > 0))

    def value(self) -> float:
        """The share over all units; nan where there is no n-gram."""
        return float(self.share(np.ones((1, len(self.totals)), dtype=bool))[0])

    def without_each(self) -> NDArray[np.float64]:
        """The share when one unit is left out, `[units]`."""
        owners = np.bincount(self.ngrams, minlength=len(self.names))
        alone = np.bincount(self.units[owners[self.ngrams] == 1], minlength=len(self.totals))
        total = self.totals.sum() - self.totals
        different = len(self.names) - alone
        return np.asarray(np.divide(different, total, out=np.full(len(total), np.nan), where=total > 0))


def distinct(outputs: Sequence[str], order: int, groups: NDArray[Any] | None = None) -> DistinctNgrams:
    """Gather the n-grams of words of this order.

    The share falls as texts grow: it compares models on the same rows, and says little where one writes much
    longer answers than the other.
    """
    units = np.arange(len(outputs)) if groups is None else group_numbers(groups)
    numbers: dict[tuple[str, ...], int] = {}
    totals = np.zeros(int(units.max(initial=-1)) + 1)
    pairs = set()
    rows = 0
    for unit, output in zip(units.tolist(), outputs, strict=True):
        found = ngrams_of(words(output), order)
        totals[unit] += len(found)
        rows += bool(found)
        pairs |= {(numbers.setdefault(gram, len(numbers)), unit) for gram in found}
    table = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
    return DistinctNgrams(f"distinct_{order}", rows, list(numbers), table[:, 0], table[:, 1], totals)


def ngrams_of(tokens: Sequence[str], order: int) -> list[tuple[str, ...]]:
    """List the runs of this many tokens, as often as they occur."""
    return list(zip(*(tokens[i:] for i in range(order)), strict=False))


def jackknife_error(left_out: NDArray[np.float64]) -> float:
    """Standard error of a statistic from its values with one unit left out, `[units]`."""
    known = left_out[~np.isnan(left_out)]
    if len(known) < 2:
        return float("nan")
    return float(np.sqrt((len(known) - 1) * known.var()))


def score_distinct(measure: DistinctNgrams, grouped: bool, confidence: float = 0.95) -> Score:
    """Give the share of different n-grams its interval, by the jackknife."""
    value, error = measure.value(), jackknife_error(measure.without_each())
    reach = NormalDist().inv_cdf(0.5 + confidence / 2) * error
    bounds, reason = (max(0.0, value - reach), min(1.0, value + reach)), None
    if np.isnan(value):
        bounds, reason = UNDEFINED, "no answer is long enough"
    elif np.isnan(error):
        bounds, reason = UNDEFINED, "too few rows or groups for an interval"
    elif error <= SAME:
        bounds, reason = (
            UNDEFINED,
            "all leave-one-out values are equal",
        )
    return Score(
        measure.name,
        value,
        *bounds,
        n=measure.rows,
        confidence=confidence,
        method="group jackknife" if grouped else "jackknife",
        reason=reason,
    )
