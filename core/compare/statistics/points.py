"""What one point of a metric is."""

from __future__ import annotations

from tunebook.report.report import OF_HUNDRED, show_name
from tunebook.statistics.intervals import Score

FROM_ZERO = ("perplexity", "bits_per_byte", "mean_absolute_error", "rmse", "mae", "length_ratio")
"""Metrics without an upper end."""


def point_of(score: Score) -> float:
    """Size of a point: 0.01 of a metric from 0 to 1, 1 of one from 0 to 100, 1 % of one without an upper end."""
    if score.name in OF_HUNDRED:
        return 1.0
    return 0.01 * abs(score.value) if score.name in FROM_ZERO else 0.01


def best_of(score: Score) -> float:
    """The best value that a metric can have."""
    if not score.higher_is_better:
        return 1.0 if score.name == "perplexity" else 0.0
    return 100.0 if score.name in OF_HUNDRED else 1.0


def show_point(score: Score, point: float) -> str:
    """Write a gain of this size: `0.01 of accuracy`, `1 of BLEU`, or `0.12 (1 %) of perplexity`."""
    share = f" ({100 * point / abs(score.value):.2g} %)" if score.name in FROM_ZERO and score.value else ""
    return f"{point:.2g}{share} of {show_name(score.name)}"
