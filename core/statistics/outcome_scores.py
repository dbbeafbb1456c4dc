"""Scores and differences of any outcome: intervals from resampled units, tests from swapped answers."""

from __future__ import annotations

import numpy as np

from tunebook.statistics.difference import Difference
from tunebook.statistics.differences import judged
from tunebook.statistics.intervals import UNDEFINED, Score, percentile
from tunebook.statistics.outcomes import Outcome
from tunebook.statistics.paired import observed, resampled, swap_test
from tunebook.statistics.sums import ALIKE, SAME


def outcome_score(
    outcome: Outcome,
    name: str,
    n: int,
    *,
    higher_is_better: bool,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Score:
    """Give a metric its interval, by resampling rows, or whole groups where there are any.

    A value that is the same in all resamples has no interval: one of no width would claim to be sure.

    Args:
        outcome: What was answered on the test rows.
        name: The metric.
        n: Test rows behind it.
        higher_is_better: Which way it is read.
        confidence: Coverage of the interval.
        resamples: Number of bootstrap resamples.
        seed: Seed of the draws.
    """
    value, interval, reason = observed([outcome]), UNDEFINED, None
    if np.isnan(value):
        reason = "the metric is undefined on these rows"
    elif outcome.units < 2:
        reason = "too few rows or groups for an interval"
    else:
        drawn = resampled([[outcome]], resamples, seed)[0]
        interval = percentile(drawn, confidence)
        if np.isclose(drawn[~np.isnan(drawn)], value, rtol=SAME, atol=SAME).all():
            interval, reason = UNDEFINED, ALIKE
        elif np.isnan(interval[0]):
            reason = "undefined in most resamples"
    method = "bootstrap" if outcome.units == n else "group bootstrap"
    return Score(name, value, *interval, n, confidence, method, higher_is_better, reason)


def outcome_difference(
    one: Outcome,
    other: Outcome,
    n: int,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Difference:
    """The score of one model minus that of another on the same rows.

    The interval resamples rows (or whole groups) with both answers to each kept together (Koehn, 2004); the p-value
    is that of answers swapped at random (Noreen, 1989).
    """
    value = observed([one]) - observed([other])
    low, high, p_value = *UNDEFINED, float("nan")
    if one.units > 1 and not np.isnan(value):
        drawn = resampled([[one], [other]], resamples, seed)
        low, high = percentile(drawn[0] - drawn[1], confidence)
        p_value = swap_test([one], [other], value, resamples, seed)
    method = "paired bootstrap" if one.units == n else "paired group bootstrap"
    return judged(value, low, high, n, p_value, confidence, method)
