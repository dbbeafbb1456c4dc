"""The difference of two rungs on the same test rows, with an interval for itself alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tunebook.compare.statistics.results import RungResult
from tunebook.compare.statistics.rung_score import FEWEST_UNITS, rests_at_a_limit
from tunebook.statistics.difference import Difference
from tunebook.statistics.differences import judged
from tunebook.statistics.intervals import UNDEFINED, Interval
from tunebook.statistics.paired import swap_test
from tunebook.statistics.quantiles import student
from tunebook.statistics.ranking_outcome import RankingOutcome, independent_units

Values = NDArray[np.float64]


def difference_of(
    one: RungResult, other: RungResult, drawn: tuple[Values, Values], confidence: float, swaps: int, seed: int
) -> tuple[Difference, float]:
    """Compare two rungs.

    Args:
        one: A rung.
        other: The one that it is compared with.
        drawn: The values of both on the same resamples of the test rows, `[resamples]` each.
        confidence: Of the interval, as of those of the rungs, and of the verdict by it and by random swaps.
        swaps: Number of random swaps.
        seed: Seed of the swaps.

    Returns:
        One minus other, and its standard error; neither has an interval where there are too few rows.
    """
    runs = (*one.outcomes, *other.outcomes)
    value, rows = one.score.value - other.score.value, one.score.n
    method = "paired group bootstrap" if runs[0].units < rows else "paired bootstrap"
    known = ~np.isnan(drawn[0] - drawn[1])
    if independent_units(runs) < FEWEST_UNITS or 2 * known.sum() < len(known):
        return judged(value, *UNDEFINED, rows, math.nan, confidence, method), math.nan
    first, second = drawn[0][known], drawn[1][known]
    error = float((first - second).std(ddof=1))
    lopsided = isinstance(runs[0], RankingOutcome) or any(
        rests_at_a_limit(rung.score.value, values, rung.outcomes[0].limits)
        for rung, values in ((one, first), (other, second))
    )
    if lopsided:
        low, high = _of_both_intervals(one, other, _correlation(first, second))
    else:
        reach = student(confidence, runs[0].units - 1) * error
        low, high = value - reach, value + reach
    p_value = swap_test(one.outcomes, other.outcomes, value, swaps, seed)
    return judged(value, low, high, rows, p_value, confidence, method), error


def _of_both_intervals(one: RungResult, other: RungResult, correlation: float) -> Interval:
    """Bound a difference by the intervals of the two values and their correlation (Zou & Donner, 2008).

    Near an end of a metric, and in a ranking of few rows of one class, a value scatters further to one side than to
    the other; its own interval knows that, and the spread of the differences does not.
    """
    a, b = one.score, other.score

    def distance(x: float, y: float) -> float:
        return math.sqrt(max(0.0, x * x + y * y - 2 * correlation * x * y))

    value = a.value - b.value
    return value - distance(a.value - a.low, b.high - b.value), value + distance(a.high - a.value, b.value - b.low)


def _correlation(first: Values, second: Values) -> float:
    """Of the values on the same resamples; 0 where one is always the same."""
    if min(first.std(), second.std()) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])
