"""The value of a rung over all its seeds, with an interval over test rows, and what a seed moves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tunebook.statistics.intervals import UNDEFINED, Interval, Score, wilson
from tunebook.statistics.outcomes import Outcome
from tunebook.statistics.paired import observed, resampled
from tunebook.statistics.quantiles import student
from tunebook.statistics.ranking_outcome import independent_units

Values = NDArray[np.float64]
FEWEST_UNITS = 4
"""Fewer say next to nothing of how far their mean scatters."""
AT_LIMIT = 0.1
"""From this share of resamples at a limit of the metric on, their spread on the stretched scale says nothing."""


def score_of_rung(
    outcomes: Sequence[Outcome],
    metric: str,
    n: int,
    *,
    higher_is_better: bool,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Score:
    """Average a metric over the seeds of a rung, with an interval over test rows.

    Rows, or whole groups where there are any, are resampled with the answers of all seeds to each kept together.
    The spread of the resamples is taken on a scale without ends (log-odds where the metric has two, the logarithm
    where it has one) and reaches as far as Student's t of as many units, in a ranking of those of the rarer class:
    unlike percentiles this leaves out as many true values on one side as on the other, and is not too narrow on few
    rows. Where many resamples lie at an end (all answers right, say) it is at least Wilson's, of a share of as many
    units as an end rests on.

    Args:
        outcomes: What the test rows got, of each seed or draw.
        metric: Its name.
        n: Test rows behind it.
        higher_is_better: Which way it is read.
        confidence: Coverage of the interval.
        resamples: Number of bootstrap resamples.
        seed: Seed of the draws.

    Returns:
        The interval says nothing of what another seed would give: `RungResult.by_seed` does.
    """
    value = observed(outcomes)
    units, limits, independent = outcomes[0].units, outcomes[0].limits, independent_units(outcomes)
    interval, reason = UNDEFINED, None
    if np.isnan(value):
        reason = "the metric is undefined on these rows"
    elif units < FEWEST_UNITS:
        reason = "too few rows or groups for an interval"
    elif independent < FEWEST_UNITS:
        reason = "too few rows of the rarer class for an interval"
    else:
        drawn = resampled([outcomes], resamples, seed)[0]
        interval = stretched_interval(value, drawn, limits, independent, outcomes[0].evidence, confidence)
        reason = "too few resamples have this metric" if np.isnan(interval[0]) else None
    name = "bootstrap" if units >= n else "group bootstrap"
    scale = "log-odds" if np.isfinite(limits[1]) else "logarithms"
    method = f"{name} on {scale}" if np.isfinite(limits[0]) else name
    return Score(metric, value, *interval, n, confidence, method, higher_is_better, reason)


def stretched_interval(
    value: float, drawn: Values, limits: tuple[float, float], units: int, evidence: int, confidence: float
) -> Interval:
    """Bound a value by the spread of its resamples `[resamples]` on the scale on which its limits are infinite.

    Resamples in which the metric is undefined are left out; nan where they are the majority.
    """
    known = drawn[~np.isnan(drawn)]
    if 2 * len(known) < len(drawn) or not len(known):
        return UNDEFINED
    reach = student(confidence, units - 1)
    low, high = limits
    if rests_at_a_limit(value, known, limits):
        return _at_a_limit(value, known, limits, evidence, confidence)
    error = float(_stretch(known[(known > low) & (known < high)], limits).std(ddof=1))
    middle = _stretch(np.array(value), limits)
    ends = _shrink(middle + np.array([-reach, reach]) * error, limits)
    return float(ends[0]), float(ends[1])


def rests_at_a_limit(value: float, known: Values, limits: tuple[float, float]) -> bool:
    """Whether a value, or many of its resamples `[resamples]`, lie at an end of the metric."""
    low, high = limits
    return value in limits or bool(((known > low) & (known < high)).mean() < 1 - AT_LIMIT)


def _at_a_limit(value: float, known: Values, limits: tuple[float, float], evidence: int, confidence: float) -> Interval:
    tail = (1 - confidence) / 2
    low, high = (float(end) for end in np.quantile(known, [tail, 1 - tail]))
    least, most = limits
    if np.isfinite(most - least):
        share = (value - least) / (most - least)
        below, above = wilson(share * evidence, evidence, confidence)
        low, high = min(low, least + below * (most - least)), max(high, least + above * (most - least))
    return min(low, value), max(high, value)


def _stretch(values: Values, limits: tuple[float, float]) -> Values:
    low, high = limits
    if np.isfinite(high):
        return np.asarray(np.log(values - low) - np.log(high - values))
    return np.asarray(np.log(values - low) if np.isfinite(low) else values)


def _shrink(values: Values, limits: tuple[float, float]) -> Values:
    low, high = limits
    if np.isfinite(high):
        return np.asarray(low + (high - low) / (1 + np.exp(-values)))
    return np.asarray(low + np.exp(values) if np.isfinite(low) else values)
