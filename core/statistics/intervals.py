"""Scores and their intervals.

A share has Wilson's closed form; anything else is bootstrapped: by rows or, where rows come in groups
(several reviews of one customer, several images of one patient), by whole groups.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.statistics.confusion import Statistic, accuracy
from tunebook.statistics.resampling import Units

Interval = tuple[float, float]
UNDEFINED: Interval = (float("nan"), float("nan"))
ROW_RESAMPLES = 200
"""Most resamples for a metric that has to be computed anew from the rows of each: milliseconds a piece."""


@dataclass(frozen=True)
class Score:
    """One number of evidence: never without its interval and the rows behind it."""

    name: str
    value: float
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    n: int
    """Rows that the score was computed from."""
    confidence: float = 0.95
    """Share of such intervals that hold the true value."""
    method: str = "bootstrap"
    """How the interval was made: wilson, bootstrap, group bootstrap ..."""
    higher_is_better: bool = True
    reason: str | None = None
    """Why the value or its interval is undefined (nan)."""

    @property
    def defined(self) -> bool:
        """Whether there is a value at all."""
        return not np.isnan(self.value)


def wilson(successes: float, n: float, confidence: float = 0.95) -> Interval:
    """Bound a share from its count of successes (Wilson, 1927); nan when `n` is 0.

    Unlike the textbook interval it stays inside [0, 1], and is not empty at 0 or at n successes.
    """
    if n == 0:
        return UNDEFINED
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    low = 0.0 if successes == 0 else middle - half
    high = 1.0 if successes == n else middle + half
    return low, high


def percentile(values: NDArray[np.float64], confidence: float = 0.95) -> Interval:
    """Cut the tails off resampled values `[resamples]` (Efron & Tibshirani, 1993, chapter 13).

    Resamples in which the statistic is undefined (a label was not drawn, say) are left out; when they are
    the majority so is the interval: nan.
    """
    known = values[~np.isnan(values)]
    if 2 * len(known) < len(values) or not len(known):
        return UNDEFINED
    tail = (1 - confidence) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def bootstrap_units(
    units: Units, statistic: Statistic, resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Bound a statistic of a confusion matrix by resampling rows, or whole groups where `units` has them.

    Without a single error every resample is the same, and the percentile interval would claim certainty.
    There the statistic is taken at the largest share of errors that Wilson leaves open, spread evenly over
    the wrong labels, and the interval runs from it to the observed value.
    """
    if not len(units.counts) or (units.groups is not None and units.independent < 2):
        return UNDEFINED
    observed = units.confusions(units.counts[None])
    if accuracy(observed)[0] == 1.0:
        open_share = 1 - wilson(units.independent, units.independent, confidence)[0]
        ends = statistic(np.concatenate([observed, with_errors(observed, open_share)]))
        return float(ends.min()), float(ends.max())
    values = [statistic(units.confusions(counts)) for counts in units.draws(resamples, seed)]
    return percentile(np.concatenate(values), confidence)


def with_errors(confusion: NDArray[Any], share: float) -> NDArray[np.float64]:
    """Move this share of all-right counts `[..., labels, labels]` evenly to the other labels that occur.

    Where only one label occurs they go to every other label.
    """
    rows = confusion.sum(-1)
    occurs = rows > 0
    occurs = occurs | (occurs.sum(-1, keepdims=True) < 2)
    wrong = occurs[..., None, :] & ~np.eye(confusion.shape[-1], dtype=bool)
    spread = wrong / np.maximum(wrong.sum(-1, keepdims=True), 1)
    moved: NDArray[np.float64] = confusion * (1 - share) + (rows * share)[..., None] * spread
    return moved


def bootstrap_rows(
    statistic: Callable[[NDArray[np.int64]], float],
    n: int,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
    groups: NDArray[Any] | None = None,
) -> Interval:
    """Bound any statistic of rows: it is called with the row numbers `[n]` of each resample.

    With `groups` `[n]` whole groups are drawn, so that a resample may hold more or fewer rows than `n`
    (Davison & Hinkley, 1997, section 3.8).
    """
    members = None if groups is None else rows_of_groups(groups)
    if n == 0 or (members is not None and len(members) < 2):
        return UNDEFINED
    random = np.random.default_rng(seed)
    values = np.empty(resamples)
    for i in range(resamples):
        if members is None:
            rows = random.integers(0, n, size=n)
        else:
            rows = np.concatenate([members[g] for g in random.integers(0, len(members), len(members))])
        values[i] = statistic(rows)
    return percentile(values, confidence)


def rows_of_groups(groups: NDArray[Any]) -> list[NDArray[np.int64]]:
    """List the row numbers of each distinct value of `groups` `[rows]`."""
    _, number = np.unique(groups, return_inverse=True)
    number = number.reshape(-1)
    order = np.argsort(number, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
