"""What more labelled rows would bring, as far as a learning curve tells."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tunebook.compare.statistics.points import best_of, show_point
from tunebook.compare.statistics.power_law import PowerLaws, fit_power_laws, winsorized
from tunebook.report.report import show_number
from tunebook.statistics.intervals import Score
from tunebook.statistics.outcomes import Outcome
from tunebook.statistics.paired import resampled

Values = NDArray[np.float64]
FARTHEST = 10
"""Times the largest number of rows beyond which no curve is followed."""
PLACES = 40
"""Sizes at which the curve is drawn where there are rows, and half as many beyond."""


@dataclass(frozen=True, eq=False)
class LabelBudget:
    """A learning curve and what it foretells."""

    rows: tuple[int, ...]
    """Training rows of each step, rising."""
    scores: tuple[tuple[float, ...], ...]
    """Metric of each draw of each step."""
    metric: Score
    point: float
    """The gain that labels are counted for."""
    words: str
    more_labels: tuple[float, float, float]
    """Rows beyond the most for one more point, and the interval: infinite where it may never come; nan where the
    curve cannot tell."""
    a: tuple[float, float, float] | None = None
    """Value with endless rows, and its interval; None where no curve could be fitted, as with all that follows."""
    b: float | None = None
    """What is missing from `a` at one row: value = a - b rows^-c, or a + b rows^-c where lower is better."""
    c: tuple[float, float, float] | None = None
    grid: tuple[float, ...] = ()
    """Sizes from the smallest step to four times the largest; none where no power law fits the steps."""
    curve: tuple[float, ...] = ()
    """The fitted curve on the grid."""
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    """Lower and upper end of its band."""


def label_budget(
    rows: Sequence[int],
    scores: Sequence[Sequence[float]],
    *,
    score: Score,
    point: float,
    higher_is_better: bool,
    outcomes: Sequence[Sequence[Outcome]] | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> LabelBudget:
    """Fit a power law to a learning curve and read from it what one more point would take.

    Args:
        rows: Training rows of each step.
        scores: Metric of each draw (or seed) of each step.
        score: The metric at the largest step.
        point: The gain wanted (`points.point_of`).
        higher_is_better: Which way the metric is read.
        outcomes: What the test rows got, of each draw of each step: then intervals also hold what other test rows
            would make of the curve's shape. Without them test rows are taken to shift all of the curve alike.
        confidence: Of all intervals.
        resamples: Bootstrap resamples of the test rows.
        seed: Seed of the draws.

    Returns:
        Numbers and words; where the curve cannot tell, `words` says so and why.
    """
    order = sorted((i for i in range(len(rows)) if len(scores[i])), key=lambda i: rows[i])
    sizes = tuple(int(rows[i]) for i in order)
    given = tuple(tuple(float(v) for v in scores[i]) for i in order)
    sign = 1.0 if higher_is_better else -1.0
    upward, moved = winsorized(sizes, [[sign * v for v in step] for step in given])
    kept = None if outcomes is None else [outcomes[i] for i in order]
    try:
        noise = noise_of_test_rows(kept, len(sizes), score, resamples, seed)
        laws = fit_power_laws(sizes, upward, sign * best_of(score), noise, confidence)
    except ValueError:
        nothing = float("nan")
        words = "The learning curve has too few sizes or draws to estimate the effect of more labels."
        return LabelBudget(sizes, given, score, point, words, (nothing, nothing, nothing))
    found = laws.more_rows(point)
    more = found if laws.fits and laws.rises else (float("nan"), found[1] if laws.fits else float("nan"), math.inf)
    seen = np.geomspace(sizes[0], sizes[-1], PLACES)
    grid = np.append(seen[:-1], np.geomspace(sizes[-1], 4 * sizes[-1], PLACES // 2)) if laws.fits else np.zeros(0)
    bands = [_signed(laws.band(size), sign) for size in grid]
    value, allowed = laws.exponent()
    place = laws.best
    return LabelBudget(
        sizes,
        given,
        score,
        point,
        " ".join([_words(laws, sizes, upward, sign, more, show_point(score, point), confidence), *_moved(moved)]),
        more,
        a=_signed(laws.band(math.inf), sign),
        b=float(laws.b[place[1]] * laws.largest**value),
        c=(value, *allowed),
        grid=tuple(grid.tolist()),
        curve=tuple(band[0] for band in bands),
        low=tuple(band[1] for band in bands),
        high=tuple(band[2] for band in bands),
    )


def noise_of_test_rows(
    outcomes: Sequence[Sequence[Outcome]] | None, steps: int, score: Score, resamples: int, seed: int
) -> Values:
    """Covariance of the steps from one set of test rows to another, `[steps, steps]`, as far as draws share it.

    What each draw makes of the rows by itself shows in the spread between draws already, and is not counted twice: a
    step's variance is the mean covariance of two of its draws.
    """
    if outcomes is None:
        half = (score.high - score.low) / 2
        error = 0.0 if np.isnan(half) else half / NormalDist().inv_cdf(0.5 + score.confidence / 2)
        return np.full((steps, steps), error**2)
    runs = [[run] for step in outcomes for run in step]
    of_step = np.repeat(np.arange(len(outcomes)), [len(step) for step in outcomes])
    member = (of_step == np.arange(len(outcomes))[:, None]).astype(np.float64)
    between = np.cov(np.stack(resampled(runs, resamples, seed)))
    alone = member @ np.diag(between)
    draws = member.sum(1)
    pairs = np.outer(draws, draws) - np.diag(np.where(draws > 1, draws, 0))
    shared = (member @ between @ member.T - np.diag(np.where(draws > 1, alone, 0))) / pairs
    values, vectors = np.linalg.eigh(shared)  # an estimate by parts may say less than nothing in some direction
    return np.asarray(vectors * np.maximum(values, 0) @ vectors.T)


def _signed(band: tuple[float, float, float], sign: float) -> tuple[float, float, float]:
    value, low, high = band
    return (value, low, high) if sign > 0 else (-value, -high, -low)


def _moved(count: int) -> list[str]:
    runs = "outlying run was" if count == 1 else "outlying runs were"
    return [f"{count} {runs} winsorized."] if count else []


def _words(
    laws: PowerLaws,
    sizes: Sequence[int],
    upward: Sequence[Sequence[float]],
    sign: float,
    more: tuple[float, float, float],
    gain: str,
    confidence: float,
) -> str:
    value, low, high = more
    if not laws.fits:
        return f"{_start(sizes, upward, sign)} This does not follow a power law, so it cannot be extrapolated."
    if not laws.rises:
        return f"{_start(sizes, upward, sign)} The runs vary as much, so it is unknown whether more labels would help."
    most, percent = (FARTHEST - 1) * sizes[-1], f"{100 * confidence:g} % CI"
    if low > most:
        return (
            f"Another {gain} would take more than {FARTHEST} times the present {show_number(sizes[-1])} labels, "
            "if it is reached at all: too far to extrapolate."
        )
    least = f"at least {_labels(low, math.floor)}"
    if value > most:
        return (
            f"How many labels another {gain} would take is unknown: {least}, and the curve may level off before "
            f"({percent} of its limit: {_ends(laws, sign)})."
        )
    start = f"About {_labels(value, round)} more labels for another {gain}"
    if math.isinf(high):
        return f"{start}: {least}, with no upper bound, as the curve may level off before ({percent})."
    if high > most:
        return f"{start}: {least}, and up to more than {FARTHEST} times the present labels ({percent})."
    return f"{start} ({percent} {_labels(low, math.floor)} to {_labels(high, math.ceil)})."


def _start(sizes: Sequence[int], upward: Sequence[Sequence[float]], sign: float) -> str:
    means = [show_number(sign * float(np.mean(step))) for step in (upward[0], upward[-1])]
    return f"From {sizes[0]} to {sizes[-1]} training rows the score goes from {means[0]} to {means[1]}."


def _ends(laws: PowerLaws, sign: float) -> str:
    _, low, high = _signed(laws.band(math.inf), sign)
    return f"{show_number(low)} to {show_number(high)}"


def _labels(count: float, rounded: Callable[[float], int]) -> str:
    """Write a count with two digits, rounded so."""
    if count < 10:
        return str(max(1, math.ceil(count)))
    size = 10 ** (math.floor(math.log10(count)) - 1)
    return show_number(int(rounded(count / size)) * int(size))
