"""Learning curves that the scores of a few training sizes do not refuse: power laws a - b (n / largest)^-c.

Hestness et al. (2017) and Rosenfeld et al. (2020) find such curves in text and images. Three parameters from four
sizes leave much open, and the usual standard errors of a least squares fit are far too sure of themselves. So the
fit is a table of curves over b and c (a follows), each with its distance from the scores, and every interval is what
the curves near enough to the best one allow (a profile likelihood).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunebook.statistics.intervals import Interval
from tunebook.statistics.quantiles import student

Values = NDArray[np.float64]
EXPONENTS = np.geomspace(0.05, 2.0, 120)
"""Of the curves looked at; those of text and images lie between 0.07 and 1."""
SLOPES = 300
USUAL_FALL, USUAL_SPREAD = 0.7, 0.7
"""Power of the size by which the variance between draws usually falls, give or take; a few draws tell little of it."""
FAR_OFF = 6.0
"""A run further than so many robust deviations from its step counts as if it were so far."""

MISFIT = 0.005
"""How far a step may lie off every curve tried, as a share of the whole rise: no learning curve is a power law to the
last digit, and the curves tried have gaps between them."""


@dataclass(frozen=True, eq=False)
class PowerLaws:
    """Curves, the higher the better, with their distance from the scores."""

    largest: float
    """Most training rows."""
    a: Values
    """Value with endless rows, `[exponents, slopes]`."""
    b: Values
    """What is still missing from it at the largest size, `[slopes]`; the first is 0: a flat curve."""
    c: Values
    """`[exponents]`."""
    distance: Values
    """Sum of squared deviations in units of their variance, `[exponents, slopes]`."""
    best_value: float
    """Highest value of the metric."""
    weight: float
    """What a deviation of 1 in all steps adds to the distance."""
    near: float
    """Distance from the best curve within which a curve is not refused."""
    left: int
    """Steps more than parameters."""

    @property
    def best(self) -> tuple[int, int]:
        """Place of the curve that lies nearest to the scores."""
        place = np.unravel_index(int(self.distance.argmin()), self.distance.shape)
        return int(place[0]), int(place[1])

    @property
    def allowed(self) -> NDArray[np.bool_]:
        """The curves that the scores do not refuse, `[exponents, slopes]`."""
        return np.asarray(self.distance <= self.distance.min() + self.near)

    @property
    def rises(self) -> bool:
        """Whether the flat curves are refused."""
        return not bool(self.allowed[:, 0].any())

    @property
    def fits(self) -> bool:
        """Whether the scores lie no further from the best curve than chance moves them."""
        return bool(self.distance.min() <= max(self.left, 1) * self.near * 1.75)

    def values(self, rows: float) -> Values:
        """The curves at this many training rows, `[exponents, slopes]`."""
        return np.asarray(self.a - self.b * (rows / self.largest) ** -self.c[:, None])

    def band(self, rows: float) -> tuple[float, float, float]:
        """The best curve at this many rows (infinitely many too), and how low and high the allowed ones are."""
        values, kept = (self.a if np.isinf(rows) else self.values(rows)), self.allowed
        room = np.sqrt(np.maximum(self.distance.min() + self.near - self.distance, 0) / self.weight)
        return (
            float(values[self.best]),
            float((values - room)[kept].min()),
            float(np.minimum(values + room, self.best_value)[kept].max()),
        )

    def more_rows(self, gain: float) -> tuple[float, float, float]:
        """Rows beyond the largest size for this gain, and the fewest and most of the allowed curves; maybe infinite."""
        left = 1 - gain / np.maximum(self.b, 1e-300)  # share of b that is left when the gain is made
        with np.errstate(divide="ignore", over="ignore"):
            times = np.where(left > 0, np.maximum(left, 1e-300) ** (-1 / self.c[:, None]), np.inf)
        more, kept = self.largest * (times - 1), self.allowed
        return float(more[self.best]), float(more[kept].min()), float(more[kept].max())

    def exponent(self) -> tuple[float, Interval]:
        """The best exponent, and the range of the allowed ones."""
        kept = self.c[self.allowed.any(1)]
        return float(self.c[self.best[0]]), (float(kept[0]), float(kept[-1]))


def fit_power_laws(
    rows: Sequence[int], scores: Sequence[Sequence[float]], best_value: float, rows_noise: Values, confidence: float
) -> PowerLaws:
    """Measure how far each curve is from the scores.

    Args:
        rows: Training rows of each step.
        scores: Metric of each draw of each step, the higher the better.
        best_value: Highest value of the metric.
        rows_noise: Covariance of the steps' means from one set of test rows to another, `[steps, steps]`.
        confidence: Of the intervals.

    Raises:
        ValueError: Fewer than three sizes, or than three draws beyond the first of each step.
    """
    freedom = sum(len(step) - 1 for step in scores)
    if len(set(rows)) < 3 or freedom < 3:
        raise ValueError("a learning curve needs three sizes, and three draws beyond the first of each")
    sizes = np.asarray(rows, dtype=np.float64)
    largest = float(sizes.max())
    means = np.array([np.mean(step) for step in scores])
    noise = np.diag(draw_noise(sizes, scores) / [len(step) for step in scores]) + rows_noise
    misfit = (MISFIT * float(np.ptp(means))) ** 2
    inverse = np.linalg.inv(noise + np.eye(len(sizes)) * (misfit + 1e-12))
    span = float(np.ptp(means) + 3 * np.sqrt(np.diag(noise)).max())
    b = np.append(0.0, np.geomspace(span * 1e-3, span * 30, SLOPES))
    fall = (sizes / largest) ** -EXPONENTS[:, None]  # [exponents, steps]
    target = means + b[:, None] * fall[:, None, :]  # what a would have to be at each step
    weight = float(inverse.sum())
    free = target @ inverse.sum(1) / weight
    a = np.minimum(free, best_value)
    off = target - a[..., None]
    distance = np.einsum("ebs,st,ebt->eb", off, inverse, off)
    near = student(confidence, freedom) ** 2
    return PowerLaws(largest, a, b, EXPONENTS, distance, best_value, weight, near, len(sizes) - 3)


def draw_noise(sizes: Values, scores: Sequence[Sequence[float]]) -> Values:
    """Variance of one draw at each step, `[steps]`: pooled, and falling with size as the draws themselves show.

    Three draws tell little of their own variance; all steps together tell its size, and how it changes.
    """
    squares = np.array([np.var(step, ddof=1) if len(step) > 1 else np.nan for step in scores])
    free = np.array([len(step) - 1 for step in scores], dtype=np.float64)
    known = squares > 0  # nan is not
    if not known.any():
        return np.zeros(len(sizes))
    x, weights = np.log(sizes / sizes.max()), np.where(known, free, 0.0)
    x = x - np.average(x, weights=weights)
    logs = np.log(np.where(known, squares, 1.0))
    information, usual = float(weights @ x**2) / 2, 1 / USUAL_SPREAD**2  # the variance of a log variance is 2 / freedom
    fall = (-float(weights @ (x * logs)) / 2 + usual * USUAL_FALL) / (information + usual)
    shape = (sizes / sizes.max()) ** -min(max(fall, 0.0), 2.0)
    counted = free > 0
    pooled = float(free[counted] @ (squares[counted] / shape[counted]) / free[counted].sum())
    return np.asarray(pooled * shape)


def winsorized(rows: Sequence[int], scores: Sequence[Sequence[float]]) -> tuple[list[list[float]], int]:
    """Pull in runs that lie far off their step (one that did not learn, say): the scores, and how many were moved."""
    middles = np.array([np.median(step) for step in scores])
    scale = (np.asarray(rows) / max(rows)) ** (-USUAL_FALL / 2)
    away = np.concatenate([np.abs(np.asarray(s) - m) / r for s, m, r in zip(scores, middles, scale, strict=True)])
    away = away[away > 0]
    if len(away) < 4:
        return [list(step) for step in scores], 0
    reach = FAR_OFF * 1.4826 * float(np.median(away)) * scale
    moved = [np.clip(step, m - r, m + r).tolist() for step, m, r in zip(scores, middles, reach, strict=True)]
    count = sum(v != w for step, new in zip(scores, moved, strict=True) for v, w in zip(step, new, strict=True))
    return moved, count
