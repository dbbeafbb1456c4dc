"""Answers that are not given because the model is not sure: where to stop, and what the answers given are worth."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from tunebook.statistics.draws import group_numbers
from tunebook.statistics.intervals import UNDEFINED, Score, bootstrap_rows
from tunebook.statistics.predictions import Predictions
from tunebook.statistics.ranking import Counts, CurvePoints, Ranking, ranked
from tunebook.statistics.shares import share_intervals
from tunebook.statistics.threshold import Threshold

STEPS = 20
"""Shares of the validation rows that are tried."""
_RESAMPLES = 1000
"""Most of them for the area, for which all rows are counted anew in each."""


def upper_bound(errors: float, rows: float, confidence: float) -> float:
    """One-sided upper bound of a share of errors (Clopper & Pearson, 1934); 1 without rows."""
    return 1.0 if errors >= rows else float(beta.ppf(confidence, errors + 1, rows - errors))


def rows_needed(wanted: float, confidence: float) -> int:
    """The fewest rows that, without a single error, bound the share of errors by the one wanted."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-wanted))


def choose_threshold(
    top_probability: NDArray[np.float64],
    right: NDArray[np.bool_],
    wanted: float,
    confidence: float = 0.95,
    groups: NDArray[Any] | None = None,
) -> Threshold | None:
    """Find the least probability from which answers are wrong no more often than wanted, on validation rows.

    Shares of the rows are tried, the most confident first and a twentieth more each time, from the fewest that could do
    without an error up to the first whose upper bound is above the share wanted. Their order is that of the
    probabilities alone, so that each bound keeps its whole confidence (fixed sequence testing: Angelopoulos et al.,
    2021): with it the threshold keeps its promise on other rows of the same kind. Where none does, it is the lowest
    whose observed share of errors is no more than wanted, and nothing is promised. It lies halfway between two rows, so
    that rounding on another machine changes no answer.

    Rows of one group count as one of their kind would if all were right or wrong together (Kish, 1965).

    Args:
        top_probability: Probability of each row's answer, `[rows]`.
        right: Whether that answer was right, `[rows]`.
        wanted: The share of wrong answers wanted among those given.
        confidence: Of the promise.
        groups: Rows of one group are not independent of each other, `[rows]`.

    Returns:
        The threshold; None where even the most confident answers are wrong more often.
    """
    rows = len(top_probability)
    if not rows:
        return None
    ranking = ranked(~right, top_probability)
    wrong, given = _given(ranking.counts(np.ones(rows, dtype=np.int64)))
    numbers = None if groups is None else group_numbers(groups)[ranking.order]

    def independent(cut: int) -> float:
        if numbers is None:
            return float(given[cut])
        sizes = np.bincount(numbers[: ranking.ends[cut] + 1]).astype(np.float64)
        return float(sizes.sum() ** 2 / np.square(sizes).sum())

    def bound(cut: int) -> float:
        alone = independent(cut)
        return upper_bound(wrong[cut] / given[cut] * alone, alone, confidence)

    best, fewest = -1, rows_needed(wanted, confidence)
    shares = np.ceil(rows * np.arange(1, STEPS + 1) / STEPS)
    for cut in np.unique(np.searchsorted(given, shares)):
        if independent(cut) < fewest:
            continue
        if bound(cut) > wanted:
            break
        best = int(cut)
    promised = best >= 0
    if not promised:
        keeping = np.flatnonzero(wrong <= wanted * given)
        if not len(keeping):
            return None
        best = int(keeping[-1])
    levels = np.append(top_probability[ranking.order][ranking.ends], 0.0)
    return Threshold(
        value=0.0 if best == len(given) - 1 else float(levels[best] + levels[best + 1]) / 2,
        wanted=wanted,
        promised=promised,
        bound=bound(best),
        confidence=confidence,
        rows=rows,
        answered=int(given[best]),
        errors=int(wrong[best]),
    )


def risk_coverage(predictions: Predictions) -> CurvePoints:
    """The share of wrong answers among those given (y) over the share given (x), by falling threshold."""
    ranking = _ranking(predictions)
    wrong, given = _given(ranking.counts(np.ones(len(predictions), dtype=np.int64)))
    levels: NDArray[np.float64] = predictions.confidence()[ranking.order][ranking.ends]
    return CurvePoints(given / max(len(predictions), 1), wrong / given, levels)


def area_under_risk(predictions: Predictions, weights: NDArray[Any] | None = None) -> NDArray[np.float64]:
    """Area under the risk-coverage curve: its mean at the thresholds of all rows (Geifman et al., 2019).

    Args:
        predictions: One answer a row.
        weights: How often each row counts, `[rows]` or `[resamples, rows]`; once by default.

    Returns:
        `[]` or `[resamples]`; nan without rows.
    """
    return _area(_ranking(predictions), np.ones(len(predictions), dtype=np.int64) if weights is None else weights)


def _area(ranking: Ranking, drawn: NDArray[Any]) -> NDArray[np.float64]:
    wrong, given = _given(ranking.counts(drawn))
    risk = np.divide(wrong, given, out=np.zeros(wrong.shape), where=given > 0)
    total = drawn.sum(-1)
    area: NDArray[np.float64] = np.full(np.shape(total), np.nan)
    np.divide((np.diff(given, prepend=0.0) * risk).sum(-1), total, out=area, where=np.asarray(total) > 0)
    return area


def area_score(predictions: Predictions, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0) -> Score:
    """`area_under_risk` with its percentile bootstrap interval, of at most 1000 resamples; lower is better."""
    ranking, n = _ranking(predictions), len(predictions)

    def area(rows: NDArray[np.int64]) -> float:
        return float(_area(ranking, np.bincount(rows, minlength=n)))

    low, high = bootstrap_rows(area, n, min(resamples, _RESAMPLES), confidence, seed, predictions.groups)
    few = "too few rows or groups for an interval" if np.isnan(low) else None
    if low == high:
        (low, high), few = UNDEFINED, "the same in every resample"
    return Score(
        "risk_coverage_area",
        float(area_under_risk(predictions)),
        low,
        high,
        len(predictions),
        confidence,
        "bootstrap" if predictions.groups is None else "group bootstrap",
        higher_is_better=False,
        reason=few,
    )


def answered_scores(
    predictions: Predictions, threshold: float, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> list[Score]:
    """The share of rows whose answer is given (`coverage`), and the share of these that is wrong (`selective_error`).

    Intervals are Wilson's, or from resampled groups where there are any.

    Args:
        predictions: On rows that the threshold was not chosen on.
        threshold: The least probability of an answer that is given.
        confidence: Of the intervals.
        resamples: Of groups.
        seed: Of the resamples.
    """
    given = predictions.confidence() >= threshold
    wrong = given & (predictions.predicted != predictions.target)
    shares = {"coverage": (given, np.ones(len(given), dtype=bool)), "selective_error": (wrong, given)}
    grouped = predictions.groups is not None
    intervals = share_intervals(list(shares.values()), predictions.groups, confidence, resamples, seed)
    scores = []
    for (name, (hits, of)), (low, high) in zip(shares.items(), intervals, strict=True):
        n = int(of.sum())
        few = "too few groups for an interval" if np.isnan(low) else None
        scores.append(
            Score(
                name,
                int(hits.sum()) / n if n else float("nan"),
                low,
                high,
                n,
                confidence,
                "group bootstrap, at least Wilson's" if grouped else "wilson",
                higher_is_better=name == "coverage",
                reason=few if n else "no row was answered",
            )
        )
    return scores


def _ranking(predictions: Predictions) -> Ranking:
    return ranked(predictions.predicted != predictions.target, predictions.confidence())


def _given(counts: Counts) -> Counts:
    """Wrong answers, and all of them, at or above each threshold."""
    wrong, right = counts
    return wrong, wrong + right
