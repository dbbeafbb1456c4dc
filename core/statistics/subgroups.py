"""Scores of groups of rows (language, site, sex ...), and how far those of two groups are apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tunebook.statistics.intervals import UNDEFINED, Interval, Score, percentile
from tunebook.statistics.outcomes import Outcome
from tunebook.statistics.paired import resampled
from tunebook.statistics.sums import ALIKE, SAME

LEAST = 20
"""Rows that a score needs to be shown: of fewer it is imprecise, and perhaps identifying."""
NOT_GIVEN = "not given"
"""The group of the rows without a value."""
PredictionsT = TypeVar("PredictionsT")


@dataclass(frozen=True)
class Part:
    """The watched metric of some of the rows, with what its resamples are made of; None where it is undefined."""

    score: Score
    outcome: Outcome | None


@dataclass(frozen=True)
class SubgroupScore:
    """The watched metric of the rows of one value. A score of too few rows is hidden: nan, with the reason."""

    column: str
    value: str
    """Value of the column; "not given" where it is empty."""
    n: int
    score: Score


@dataclass(frozen=True)
class Gap:
    """The watched metric of one group of rows minus that of another."""

    column: str
    first: str
    second: str
    scores: tuple[Score, Score]
    value: float
    low: float
    high: float
    confidence: float
    method: str
    reason: str | None = None
    """Why there is no value or no interval."""

    @property
    def distinguishable(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def members(values: Sequence[Any] | NDArray[Any]) -> list[tuple[str, NDArray[np.int64]]]:
    """The row numbers of each value of a column, `[rows]`; those without one last, as `NOT_GIVEN`."""
    named = np.array([str(value) for value in values], dtype=object)
    ordered = sorted(set(named.tolist()), key=lambda name: (name == "", name))
    return [(value or NOT_GIVEN, np.flatnonzero(named == value)) for value in ordered]


def hidden_below(score: Score, least: int, rows: str = "rows") -> Score:
    """Hide a score of fewer rows than these."""
    if score.n >= least:
        return score
    nan, _ = UNDEFINED
    return replace(score, value=nan, low=nan, high=nan, reason=f"fewer than {least} {rows}")


def rows_of(predictions: PredictionsT, rows: NDArray[np.int64]) -> PredictionsT:
    """Take these row numbers `[n]` of every column of predictions, of whatever kind."""

    def taken(column: Any) -> Any:
        if isinstance(column, np.ndarray):
            return column[rows]
        if isinstance(column, list):
            return [column[row] for row in rows]
        return {name: taken(each) for name, each in column.items()} if isinstance(column, Mapping) else column

    whole: Any = predictions
    some: PredictionsT = replace(whole, **{field.name: taken(getattr(whole, field.name)) for field in fields(whole)})
    return some


def gap(
    column: str,
    values: tuple[str, str],
    parts: tuple[Part, Part],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Gap:
    """Subtract the score of one group of rows from that of another.

    The interval resamples the rows (or whole groups) of each on their own: nothing pairs them. Where all resamples of
    one of them are alike, as at a perfect score, they would claim that its score is certain; the interval is then made
    of the two scores' own (Zou & Donner, 2008).

    Args:
        column: The column that tells them apart.
        values: Its value in either.
        parts: The watched metric of either; small ones are hidden, and so is the gap.
        confidence: Coverage of the interval.
        resamples: Bootstrap resamples.
        seed: Seed of the draws.
    """
    first, second = (hidden_below(part.score, LEAST) for part in parts)
    value = first.value - second.value
    one, other = parts[0].outcome, parts[1].outcome
    interval, method, reason = UNDEFINED, "unpaired bootstrap", None
    if np.isnan(value) or one is None or other is None:
        told = ((each, score.reason) for each, score in zip(values, (first, second), strict=True) if not score.defined)
        reason = next((f"{each}: {why}" for each, why in told), "the metric is undefined on these rows")
    elif one.units < 2 or other.units < 2:
        reason = "too few rows or groups for an interval"
    else:
        drawn = [resampled([[each]], resamples, seed + i)[0] for i, each in enumerate((one, other))]
        alike = [_alike(each, score.value) for each, score in zip(drawn, (first, second), strict=True)]
        interval = percentile(drawn[0] - drawn[1], confidence)
        if any(alike):
            interval, method = _of_intervals(first, second), "intervals of the two scores"
            reason = ALIKE if np.isnan(interval[0]) else None
        elif np.isnan(interval[0]):
            reason = "undefined in most resamples"
    return Gap(column, *values, (first, second), value, *interval, confidence, method, reason)


def _alike(drawn: NDArray[np.float64], value: float) -> bool:
    known = drawn[~np.isnan(drawn)]
    return bool(np.isclose(known, value, rtol=SAME, atol=SAME).all())


def _of_intervals(first: Score, second: Score) -> Interval:
    """The interval of a difference from those of independent scores, recovered variances and all."""
    value = first.value - second.value
    low = value - float(np.hypot(first.value - first.low, second.high - second.value))
    high = value + float(np.hypot(first.high - first.value, second.value - second.low))
    return low, high
