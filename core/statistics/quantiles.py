"""Quantiles of the distributions that intervals rest on."""

from __future__ import annotations

from scipy.special import stdtrit


def student(confidence: float, freedom: float) -> float:
    """Reach of a two-sided interval in standard errors: the quantile of Student's t at (1 + confidence) / 2."""
    return float(stdtrit(freedom, 0.5 + confidence / 2))
