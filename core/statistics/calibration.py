"""Whether a model is right as often as it believes to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunebook.statistics.intervals import Score, bootstrap_rows, wilson
from tunebook.statistics.predictions import Predictions

BINS = 15


@dataclass(frozen=True)
class ReliabilityBin:
    """The rows whose answer was given with a probability between `start` and `end`."""

    start: float
    end: float
    n: int
    confidence: float
    """Mean probability of the answers; nan without rows."""
    accuracy: float
    """Share of right answers; nan without rows."""
    low: float
    """Wilson's interval of the accuracy."""
    high: float


def reliability(predictions: Predictions, *, bins: int = BINS, confidence: float = 0.95) -> list[ReliabilityBin]:
    """Tabulate accuracy against confidence in bins of equal width (Guo et al., 2017, section 2)."""
    top_probability, right = predictions.confidence(), predictions.predicted == predictions.target
    number = _bin_numbers(top_probability, bins)
    table = []
    for i in range(bins):
        inside = number == i
        n, hits = int(inside.sum()), int(right[inside].sum())
        mean = float(top_probability[inside].mean()) if n else float("nan")
        low, high = wilson(hits, n, confidence)
        share = hits / n if n else float("nan")
        table.append(ReliabilityBin(i / bins, (i + 1) / bins, n, mean, share, low, high))
    return table


def expected_calibration_error(
    top_probability: NDArray[np.float64] | Sequence[float],
    right: NDArray[np.bool_] | Sequence[bool],
    bins: int = BINS,
) -> float:
    """Mean gap between confidence and accuracy over the bins, weighted by their rows (Guo et al., 2017).

    Args:
        top_probability: Probability of each row's answer, `[rows]`.
        right: Whether that answer was right, `[rows]`.
        bins: Bins of equal width.
    """
    sure = np.asarray(top_probability, dtype=np.float64)
    if not len(sure):
        return float("nan")
    gaps = np.bincount(_bin_numbers(sure, bins), weights=sure - np.asarray(right), minlength=bins)
    return float(np.abs(gaps).sum() / len(sure))


def calibration_score(
    predictions: Predictions, *, confidence: float = 0.95, resamples: int = 1000, seed: int = 0
) -> Score:
    """Expected calibration error with its interval.

    The error is a sum of absolute values, so resampling pushes it up; the basic bootstrap interval (Davison &
    Hinkley, 1997, section 5.2), which mirrors the resamples at the observed value, pushes it back down.
    """
    top_probability, right = predictions.confidence(), predictions.predicted == predictions.target
    value = expected_calibration_error(top_probability, right)
    low, high = bootstrap_rows(
        lambda rows: expected_calibration_error(top_probability[rows], right[rows]),
        len(predictions),
        resamples,
        confidence,
        seed,
        predictions.groups,
    )
    return Score(
        name="calibration_error",
        value=value,
        low=max(0.0, min(value, 2 * value - high)),
        high=max(value, 2 * value - low),
        n=len(predictions),
        confidence=confidence,
        method="basic bootstrap" if predictions.groups is None else "basic group bootstrap",
        higher_is_better=False,
        reason=None if low == low else "too few rows or groups for an interval",
    )


def _bin_numbers(top_probability: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    return np.minimum((top_probability * bins).astype(np.int64), bins - 1)
