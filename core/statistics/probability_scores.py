"""What a model's probabilities of the labels are worth, whatever label they lead to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunebook.statistics.calibration import calibration_score
from tunebook.statistics.intervals import UNDEFINED, Score, bootstrap_rows
from tunebook.statistics.predictions import Predictions

_RESAMPLES = 1000
"""Most of them for the calibration error, which is computed anew from the rows of each."""


def log_losses(predictions: Predictions) -> NDArray[np.float64]:
    """Negative log-likelihood of each row's truth, in nats, `[rows]`; a probability of 0 counts as the least number."""
    likely = predictions.probabilities[np.arange(len(predictions)), predictions.target]
    losses: NDArray[np.float64] = -np.log(likely.clip(np.finfo(np.float64).eps))
    return losses


def squared_errors(predictions: Predictions) -> NDArray[np.float64]:
    """Half the squared distance of each row's probabilities from the truth, 0 to 1, `[rows]` (Brier, 1950).

    With two labels it is the squared error of the probability of either.
    """
    truth = np.eye(len(predictions.labels))[predictions.target]
    errors: NDArray[np.float64] = np.square(predictions.probabilities - truth).sum(axis=1) / 2
    return errors


def probability_scores(
    predictions: Predictions, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> list[Score]:
    """Expected calibration error, negative log-likelihood and Brier score, each with its interval; lower is better."""
    fewer = min(resamples, _RESAMPLES)
    error = calibration_score(predictions, confidence=confidence, resamples=fewer, seed=seed)
    means = {"negative_log_likelihood": log_losses(predictions), "brier_score": squared_errors(predictions)}
    return [error, *(_mean(name, each, predictions, confidence, resamples, seed) for name, each in means.items())]


def _mean(
    name: str, losses: NDArray[np.float64], predictions: Predictions, confidence: float, resamples: int, seed: int
) -> Score:
    """The mean of rows, with the interval of its resamples."""

    def mean(rows: NDArray[np.int64]) -> float:
        return float(losses[rows].mean())

    low, high = bootstrap_rows(mean, len(losses), resamples, confidence, seed, predictions.groups)
    reason = "too few rows or groups for an interval" if np.isnan(low) else None
    if low == high:
        (low, high), reason = UNDEFINED, "the same in every resample"
    return Score(
        name,
        float(losses.mean()) if len(losses) else float("nan"),
        low,
        high,
        len(losses),
        confidence,
        "bootstrap" if predictions.groups is None else "group bootstrap",
        higher_is_better=False,
        reason=reason,
    )
