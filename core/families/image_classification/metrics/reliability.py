"""Whether a finding is there as often as its probability says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunebook.statistics.calibration import expected_calibration_error
from tunebook.statistics.draws import group_numbers
from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.intervals import Interval, Score, bootstrap_rows, wilson
from tunebook.statistics.shares import share_intervals

BINS = 10


@dataclass(frozen=True)
class FindingBin:
    """The rows to which a finding was given a probability between `start` and `end`."""

    start: float
    end: float
    n: int
    probability: float
    """Mean probability of the finding; nan without rows."""
    share: float
    """Share of the rows that have it; nan without rows."""
    low: float
    """Interval of the share."""
    high: float


def finding_reliability(
    predictions: FindingPredictions,
    finding: str,
    bins: int = BINS,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> list[FindingBin]:
    """Tabulate how often a finding is there against its probability, in bins of equal width.

    Intervals are Wilson's, or from resampled groups where there are any.
    """
    present, probabilities = _column(predictions, finding)
    number = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    inside = [number == i for i in range(bins)]
    shares = [(rows & (present == 1), rows) for rows in inside]
    intervals = share_intervals(shares, predictions.groups, confidence, resamples, seed)
    table = []
    for i, (rows, (low, high)) in enumerate(zip(inside, intervals, strict=True)):
        mean, share = (float(each[rows].mean()) if rows.any() else float("nan") for each in (probabilities, present))
        table.append(FindingBin(i / bins, (i + 1) / bins, int(rows.sum()), mean, share, low, high))
    return table


def finding_calibration_score(
    predictions: FindingPredictions,
    finding: str,
    bins: int = BINS,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Score:
    """Expected calibration error of a finding's probability: its mean gap to the share of rows that have it.

    Resampling pushes a sum of absolute gaps up; the basic bootstrap interval (Davison & Hinkley, 1997, section
    5.2), which mirrors the resamples at the observed value, pushes it back down.
    """
    present, probabilities = _column(predictions, finding)
    value = expected_calibration_error(probabilities, present == 1, bins)
    low, high = bootstrap_rows(
        lambda rows: expected_calibration_error(probabilities[rows], present[rows] == 1, bins),
        len(predictions),
        resamples,
        confidence,
        seed,
        predictions.groups,
    )
    mirrored = (2 * value - high, 2 * value - low)
    return _score("calibration_error", "basic ", value, mirrored, predictions, confidence)


def finding_brier_score(
    predictions: FindingPredictions,
    finding: str,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Score:
    """Mean squared difference of a finding's probability from 1 where it is there and 0 where not (Brier, 1950)."""
    present, probabilities = _column(predictions, finding)
    squares = (probabilities - present) ** 2
    interval = bootstrap_rows(
        lambda rows: float(squares[rows].mean()), len(squares), resamples, confidence, seed, predictions.groups
    )
    value = float(squares.mean()) if len(squares) else float("nan")
    return _score("brier_score", "", value, interval, predictions, confidence)


def _column(predictions: FindingPredictions, finding: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    column = predictions.findings.index(finding)
    return predictions.target[:, column], predictions.probabilities[:, column]


def _score(
    name: str, kind: str, value: float, interval: Interval, predictions: FindingPredictions, confidence: float
) -> Score:
    """Make a score of an error in [0, 1]; without any error as large as Wilson leaves open."""
    low, high = interval
    method = f"{kind}bootstrap" if predictions.groups is None else f"{kind}group bootstrap"
    if value == 0 and low == high:
        independent = (
            len(predictions) if predictions.groups is None else int(group_numbers(predictions.groups).max()) + 1
        )
        low, high = wilson(0, independent, confidence)
        method = "wilson, no error seen"
    few = "too few rows or groups for an interval" if np.isnan(low) else None
    return Score(
        name,
        value,
        float(np.minimum(np.maximum(low, 0.0), value)),
        float(np.maximum(np.minimum(high, 1.0), value)),
        n=len(predictions),
        confidence=confidence,
        method=method,
        higher_is_better=False,
        reason=few if len(predictions) else "there are no rows",
    )
