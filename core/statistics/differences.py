"""Whether one model is better than another on the same rows, or the rows cannot tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torchmetrics import Metric, MetricCollection

from tunebook.statistics.confusion import STATISTICS, Statistic
from tunebook.statistics.difference import Difference
from tunebook.statistics.intervals import ROW_RESAMPLES, UNDEFINED, bootstrap_rows, percentile
from tunebook.statistics.measure import confusion_statistic, looked_at, measure
from tunebook.statistics.predictions import Predictions
from tunebook.statistics.resampling import Units, units_of


def judged(value: float, low: float, high: float, n: int, p_value: float, confidence: float, method: str) -> Difference:
    """A difference, distinguishable where the interval leaves out 0 and chance makes one as large too rarely."""
    distinguishable = bool((low > 0 or high < 0) and p_value < 1 - confidence)
    return Difference(value, low, high, n, distinguishable, p_value, confidence, method)


def paired_difference(
    a: Predictions,
    b: Predictions,
    statistic: Statistic | str,
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Difference:
    """Compare two models on the same rows.

    The interval comes from resampling rows, with both answers to each row kept together (Koehn, 2004), whole
    groups where there are any. On few rows it is too sure of itself, so that a difference must also pass a
    randomisation test (Noreen, 1989): answers swapped between the two models at random.

    Args:
        a: Predictions of one model.
        b: Predictions of the other, on the same rows in the same order.
        statistic: A function of confusion matrices, or its name in `confusion.STATISTICS`.
        resamples: Number of bootstrap resamples, and of random swaps.
        confidence: Coverage of the interval.
        seed: Seed of the draws.

    Raises:
        ValueError: The two are not about the same rows and labels.
    """
    _check_same_rows(a, b)
    of = STATISTICS[statistic] if isinstance(statistic, str) else statistic
    units = units_of(a, b)
    value = float(_differences(units, units.counts[None], of)[0]) if len(a) else float("nan")
    low, high, p_value = *UNDEFINED, float("nan")
    if units.independent > 1:
        drawn = [_differences(units, counts, of) for counts in units.draws(resamples, seed)]
        low, high = percentile(np.concatenate(drawn), confidence)
        p_value = _swap_test(units, of, value, resamples, seed)
    method = "paired bootstrap" if a.groups is None else "paired group bootstrap"
    return judged(value, low, high, len(a), p_value, confidence, method)


def paired_metric_difference(
    a: Predictions,
    b: Predictions,
    metric: Metric,
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Difference:
    """Compare two models by any metric, computed anew from the rows of each resample and of each random swap.

    As `paired_difference`, with at most `ROW_RESAMPLES` of either, and `Difference.method` says so.

    Raises:
        ValueError: The two are not about the same rows and labels.
    """
    _check_same_rows(a, b)
    draws = min(resamples, ROW_RESAMPLES)
    value = measure(metric, a)[0] - measure(metric, b)[0]
    groups = np.arange(len(a)) if a.groups is None else a.groups
    low, high, p_value = *UNDEFINED, float("nan")
    if len(np.unique(groups)) > 1 and not np.isnan(value):
        low, high = bootstrap_rows(
            lambda rows: measure(metric, a, rows)[0] - measure(metric, b, rows)[0],
            len(a),
            draws,
            confidence,
            seed,
            a.groups,
        )
        p_value = _row_swap_test(a, b, metric, value, draws, seed)
    method = "paired bootstrap" if a.groups is None else "paired group bootstrap"
    return judged(value, low, high, len(a), p_value, confidence, f"{method}, {draws} resamples")


def differences(
    metrics: MetricCollection,
    tuned: Predictions,
    other: Predictions,
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Difference]:
    """Compare two models by every metric of the collection."""
    settings: dict[str, Any] = {"resamples": resamples, "confidence": confidence, "seed": seed}
    found = {}
    for name, metric in metrics.items(keep_base=True):
        statistic = confusion_statistic(metric, [tuned, other])
        if statistic is None:
            found[name] = paired_metric_difference(tuned, other, metric, **settings)
        else:
            found[name] = paired_difference(looked_at(metric, tuned), looked_at(metric, other), statistic, **settings)
    return found


def _check_same_rows(a: Predictions, b: Predictions) -> None:
    if a.labels != b.labels or not np.array_equal(a.target, b.target):
        raise ValueError("a paired comparison needs the same rows and labels on both sides")


def _row_swap_test(a: Predictions, b: Predictions, metric: Metric, value: float, draws: int, seed: int) -> float:
    """Share of random swaps of rows, or whole groups, that make a difference at least as large as the observed one."""
    random = np.random.default_rng([seed, 1])
    numbers = np.arange(len(a)) if a.groups is None else np.unique(a.groups, return_inverse=True)[1].reshape(-1)
    larger = 0
    for _ in range(draws):
        swapped = random.integers(0, 2, int(numbers.max()) + 1)[numbers] == 1
        found = measure(metric, exchanged(a, b, swapped))[0] - measure(metric, exchanged(b, a, swapped))[0]
        # A swap on which the metric is undefined shows no difference; it counts against the claim.
        larger += not abs(found) < abs(value) - 1e-9
    return (larger + 1) / (draws + 1)


def exchanged(model: Predictions, other: Predictions, swapped: NDArray[np.bool_]) -> Predictions:
    """A model's predictions with those of another in some rows, `[rows]`."""
    wide = swapped[:, None]
    return replace(
        model,
        predicted=np.where(wide if model.multilabel else swapped, other.predicted, model.predicted),
        probabilities=np.where(wide, other.probabilities, model.probabilities),
    )


def _differences(units: Units, counts: NDArray[np.int64], of: Statistic) -> NDArray[np.float64]:
    return of(units.confusions(counts, 0)) - of(units.confusions(counts, 1))


def _swap_test(units: Units, of: Statistic, value: float, resamples: int, seed: int) -> float:
    """Share of random swaps that make a difference at least as large as the observed one."""
    random = np.random.default_rng([seed, 1])
    swapped = Units(units.size, units.counts, units.cells[::-1], units.groups)
    larger = 0
    for chunk in units.chunks(resamples):
        moved = _swaps(units, chunk, random)
        kept = units.counts - moved
        first = units.confusions(kept, 0) + swapped.confusions(moved, 0)
        second = units.confusions(kept, 1) + swapped.confusions(moved, 1)
        found = of(first) - of(second)
        larger += int((np.abs(found) >= abs(value) - 1e-12).sum())
    return (larger + 1) / (resamples + 1)


def _swaps(units: Units, chunk: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Draw how many rows of each unit are swapped, `[chunk, units]`: each row, or each group, by a coin."""
    if units.groups is None:
        return random.binomial(units.counts, 0.5, size=(chunk, len(units.counts)))
    swaps = random.integers(0, 2, size=(chunk, units.independent))
    return swaps[:, units.groups] * units.counts
