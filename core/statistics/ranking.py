"""How well scores put the rows with a finding before those without: AUROC, average precision and their curves.

Every statistic takes whole-number weights `[resamples, rows]`, how often each row was drawn, so that bootstrap
resamples are cumulative sums over rows that were sorted once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Counts = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Ranking:
    """Rows by falling score; rows with the same score share one threshold."""

    order: NDArray[np.int64]
    """Row numbers by falling score, `[rows]`."""
    present: NDArray[np.float64]
    """1 where the row at that place has the finding, else 0, `[rows]`."""
    ends: NDArray[np.int64]
    """Place of the last row of each distinct score, `[thresholds]`."""

    def counts(self, weights: NDArray[Any]) -> Counts:
        """Count the rows with and without the finding at or above each threshold, `[..., thresholds]` each."""
        drawn = weights[..., self.order].astype(np.float64)
        above = drawn.cumsum(-1)[..., self.ends]
        drawn *= self.present
        true = drawn.cumsum(-1)[..., self.ends]
        return true, above - true


def ranked(target: NDArray[Any], scores: NDArray[Any]) -> Ranking:
    """Sort rows by their scores.

    Args:
        target: 1 where the row has the finding, else 0, `[rows]`.
        scores: Larger where the finding is likelier, `[rows]`.

    Raises:
        ValueError: A score is not a number.
    """
    if np.isnan(scores).any():
        raise ValueError("rows cannot be ranked by scores that are not numbers")
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=np.nan))  # nan differs from any last score
    return Ranking(order, (np.asarray(target)[order] == 1).astype(np.float64), ends)


def midranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rank from 0 by rising score, `[rows]`; tied rows share the mean of their ranks."""
    return np.asarray(rankdata(scores)) - 1


def auroc(target: NDArray[Any], scores: NDArray[Any], weights: NDArray[Any] | None = None) -> NDArray[np.float64]:
    """Area under the ROC curve: how often a row with the finding scores above one without; a tie counts half.

    Args:
        target: 1 where the row has the finding, else 0, `[rows]`.
        scores: Larger where the finding is likelier, `[rows]`.
        weights: How often each row counts, `[rows]` or `[resamples, rows]`; once by default.

    Returns:
        `[]` or `[resamples]`; nan where rows with, or without, the finding are missing.
    """
    return auroc_of_counts(ranked(target, scores).counts(_given(weights, scores)))


def average_precision(
    target: NDArray[Any], scores: NDArray[Any], weights: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """Mean precision over the thresholds, each weighted by the sensitivity that it adds.

    Arguments and result are those of `auroc`. A random ranking has the share of rows with the finding.
    """
    return average_precision_of_counts(ranked(target, scores).counts(_given(weights, scores)))


def _given(weights: NDArray[Any] | None, scores: NDArray[Any]) -> NDArray[Any]:
    return np.ones(len(scores), dtype=np.int64) if weights is None else weights


def auroc_of_counts(counts: Counts) -> NDArray[np.float64]:
    """AUROC from `Ranking.counts`."""
    true, false = counts
    new_false = np.diff(false, prepend=0.0)
    before = true - np.diff(true, prepend=0.0)
    wins = ((true + before) * new_false).sum(-1) / 2  # the tied half of the rows with the finding
    return _share(wins, _total(true) * _total(false))


def average_precision_of_counts(counts: Counts) -> NDArray[np.float64]:
    """Average precision from `Ranking.counts`; nan as well where no row is without the finding."""
    true, false = counts
    above = true + false
    precision = np.divide(true, above, out=np.zeros(true.shape), where=above > 0)
    found = (np.diff(true, prepend=0.0) * precision).sum(-1)
    return _share(found, np.where(_total(false) > 0, _total(true), 0))


def _total(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return counts[..., -1] if counts.shape[-1] else np.zeros(counts.shape[:-1])


def _share(part: Any, whole: Any) -> NDArray[np.float64]:
    share: NDArray[np.float64] = np.full(np.shape(part), np.nan)
    np.divide(part, whole, out=share, where=np.asarray(whole) > 0)
    return share


@dataclass(frozen=True, eq=False)
class CurvePoints:
    """A curve by falling threshold: a row is positive from the threshold on."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    thresholds: NDArray[np.float64]


def roc_points(target: NDArray[Any], scores: NDArray[Any]) -> CurvePoints:
    """Sensitivity (y) over the false positive rate (x), `[thresholds + 1]`; it begins at (0, 0).

    A rate without rows behind it is nan.
    """
    true, false, thresholds = _counted(target, scores)
    x, y = (np.append(0.0, _share(part, np.full(len(part), _total(part)))) for part in (false, true))
    return CurvePoints(x, y, np.append(np.inf, thresholds))


def pr_points(target: NDArray[Any], scores: NDArray[Any]) -> CurvePoints:
    """Precision (y) over sensitivity (x), `[thresholds]`; without rows that have the finding x is nan."""
    true, false, thresholds = _counted(target, scores)
    return CurvePoints(_share(true, np.full(len(true), _total(true))), true / (true + false), thresholds)


def _counted(
    target: NDArray[Any], scores: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    ranking = ranked(target, scores)
    thresholds: NDArray[np.float64] = scores[ranking.order][ranking.ends]
    return *ranking.counts(_given(None, scores)), thresholds
