"""Scores of a ranking with intervals, for each finding and in the mean.

The percentile bootstrap is too sure of a ranking that is nearly perfect or has few rows with the finding (of
binormal scores with AUROC 0.97 and 10 such rows, its 95 % intervals hold the truth four times in five). Every
interval is therefore at least as wide as a closed form that stays honest there.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from tunebook.statistics.draws import counted, row_draws, union
from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.intervals import UNDEFINED, Interval, Score, percentile, wilson
from tunebook.statistics.ranking import auroc_of_counts, average_precision_of_counts, ranked

STATISTICS = {"auroc": auroc_of_counts, "average_precision": average_precision_of_counts}
_STEP = 1e-14  # at an area of 0 or 1 both ends of the bracket would be roots
CLOSED = {"auroc": "Newcombe's", "average_precision": "Wilson's"}


def newcombe(area: float, positives: int, negatives: int, confidence: float = 0.95) -> Interval:
    """Bound an AUROC in closed form: the areas that differ from it by less than z of their own standard errors.

    Method 5 of Newcombe (2006, Statistics in Medicine 25, part 2), with the standard error of Hanley & McNeil
    (1982) for two classes of the mean size. Like Wilson's it stays inside [0, 1] and is not empty at 0 or 1.
    """
    if not positives or not negatives or np.isnan(area):
        return UNDEFINED
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    others = (positives + negatives) / 2 - 1

    def excess(end: float) -> float:
        """Above 0 where ``end`` differs from the area by more than z of its own standard errors."""
        spread = 1 + others * (1 - end) / (2 - end) + others * end / (1 + end)
        return float((end - area) ** 2 - z * z * end * (1 - end) * spread / (positives * negatives))

    low, high = (
        float(limit) if area == limit else float(brentq(excess, area + _STEP * (limit - area), limit, xtol=_STEP))
        for limit in (0, 1)
    )
    return low, high


@dataclass(frozen=True, eq=False)
class _Ranked:
    """One statistic of every finding: its value, its resamples and its closed bound."""

    values: NDArray[np.float64]
    """`[findings]`."""
    drawn: NDArray[np.float64]
    """`[resamples, findings]`; no resamples from one row or group."""
    closed: list[Interval]


def _rank(predictions: FindingPredictions, confidence: float, resamples: int, seed: int) -> dict[str, _Ranked]:
    columns = range(len(predictions.findings))
    rankings = [ranked(predictions.target[:, i], predictions.probabilities[:, i]) for i in columns]

    def measured(weights: NDArray[np.int64]) -> NDArray[np.float64]:
        counts = [ranking.counts(weights) for ranking in rankings]
        return np.stack([[of_counts(each) for each in counts] for of_counts in STATISTICS.values()])

    observed = measured(np.ones(len(predictions), dtype=np.int64))
    stacks = [measured(weights) for weights in row_draws(len(predictions), predictions.groups, resamples, seed)]
    drawn = np.concatenate(stacks, axis=-1) if stacks else np.empty((*observed.shape, 0))
    return {
        name: _Ranked(
            observed[s],
            drawn[s].T,
            [_closed(name, predictions, i, observed[s, i], drawn[s, i], confidence) for i in columns],
        )
        for s, name in enumerate(STATISTICS)
    }


def _closed(
    name: str,
    predictions: FindingPredictions,
    column: int,
    value: float,
    drawn: NDArray[np.float64],
    confidence: float,
) -> Interval:
    present, scores = predictions.target[:, column] == 1, predictions.probabilities[:, column]
    if name == "auroc" and len(scores) and scores.min() == scores.max():
        return value, value  # one score for all rows ranks none of them, whatever the rows
    known = drawn[~np.isnan(drawn)]
    alike = bool(len(known) == 0 or known.min() == known.max())
    positives = counted(present, predictions.groups, alike)
    if name == "auroc":
        return newcombe(value, positives, counted(~present, predictions.groups, alike), confidence)
    return UNDEFINED if np.isnan(value) else wilson(value * positives, positives, confidence)


def _bound(drawn: NDArray[np.float64], closed: Interval, value: float, confidence: float) -> Interval:
    low, high = union(percentile(drawn, confidence) if len(drawn) else UNDEFINED, closed)
    return float(np.minimum(low, value)), float(np.maximum(high, value))


def _score(
    name: str,
    value: float,
    interval: Interval,
    predictions: FindingPredictions,
    confidence: float,
    absent: str | None,
) -> Score:
    drawn = "bootstrap" if predictions.groups is None else "group bootstrap"
    few = "too few rows or groups for an interval" if np.isnan(interval[0]) else None
    return Score(
        name,
        float(value),
        *interval,
        n=len(predictions),
        confidence=confidence,
        method=f"{drawn}, at least {CLOSED[name]}",
        reason=(absent or "the ranking is undefined on these rows") if np.isnan(value) else few,
    )


def absent_class(target: NDArray[Any], finding: str) -> str | None:
    """Say which class of a finding no row has, `[rows]`; None where both occur."""
    if not len(target):
        return "there are no rows"
    if (target == 1).all():
        return f"no row is without {finding!r}"
    return None if (target == 1).any() else f"no row has {finding!r}"


def ranking_scores(
    predictions: FindingPredictions, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> dict[str, list[Score]]:
    """Compute AUROC and average precision of each finding, with intervals.

    Rows are resampled, or whole patients where there are groups; the interval also covers Newcombe's of an
    AUROC, or Wilson's of an average precision taken as a share of the rows with the finding (Boyd, Eng & Page,
    2013). Few groups, or groups of which all resamples are alike, count as one row each in these.

    Returns:
        Finding -> the scores "auroc" and "average_precision"; nan with the reason where a class is absent.
    """
    found = _rank(predictions, confidence, resamples, seed)
    table = {}
    for i, finding in enumerate(predictions.findings):
        absent = absent_class(predictions.target[:, i], finding)
        table[finding] = [
            _score(
                name,
                one.values[i],
                _bound(one.drawn[:, i], one.closed[i], one.values[i], confidence),
                predictions,
                confidence,
                absent,
            )
            for name, one in found.items()
        ]
    return table


def mean_ranking_scores(
    predictions: FindingPredictions, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> list[Score]:
    """Average AUROC and average precision over the findings of which both classes occur (macro average).

    All findings are resampled together; a resample without a class of some finding averages the others. The
    closed bounds of the findings are combined by their squares (Zou & Donner, 2008).
    """
    scores = []
    for name, one in _rank(predictions, confidence, resamples, seed).items():
        defined = ~np.isnan(one.values)
        value = float(one.values[defined].mean()) if defined.any() else float("nan")
        ends = np.array(one.closed)[defined]
        reach = np.sqrt(((ends - one.values[defined, None]) ** 2).sum(0)) / max(int(defined.sum()), 1)
        closed = (max(0.0, value - reach[0]), min(1.0, value + reach[1])) if defined.any() else UNDEFINED
        interval = _bound(mean_of_known(one.drawn[:, defined]), closed, value, confidence)
        absent = "no finding has rows with it and rows without it"
        scores.append(_score(name, value, interval, predictions, confidence, absent))
    return scores


def mean_of_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average over findings `[resamples, findings]` without nan; nan where all are."""
    known = ~np.isnan(values)
    count = known.sum(1)
    means: NDArray[np.float64] = np.full(len(values), np.nan)
    np.divide(np.where(known, values, 0).sum(1), count, out=means, where=count > 0)
    return means
