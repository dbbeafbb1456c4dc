"""Scores of a classifier's predictions: the recipe's own metrics, each with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torchmetrics import Metric, MetricCollection

from tunebook.statistics import confusion as statistics
from tunebook.statistics.confusion import Statistic
from tunebook.statistics.intervals import (
    ROW_RESAMPLES,
    UNDEFINED,
    Interval,
    Score,
    bootstrap_rows,
    bootstrap_units,
    percentile,
    wilson,
)
from tunebook.statistics.label_scores import LabelScores
from tunebook.statistics.measure import confusion_statistic, looked_at, measure
from tunebook.statistics.predictions import Predictions
from tunebook.statistics.resampling import units_of


def score_predictions(
    metrics: MetricCollection,
    predictions: Predictions,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> list[Score]:
    """Compute every metric of the collection on the predictions, with its interval.

    A metric is given the probabilities, or the answers (`predicted`) where it is `Decided`, as in validation.

    The interval of micro-averaged accuracy is Wilson's. Macro F1, balanced accuracy, kappa and
    `LabelDistance` are bootstrapped through the confusion matrix; any other metric by rows, with at most
    `ROW_RESAMPLES` resamples, and `Score.method` says so. Where the predictions have groups, whole groups are
    resampled for every metric: the rows of one group are no independent evidence. A perfect (or zero) score,
    at which every resample is alike, gets the Wilson bound of as many rows or groups.
    """
    return [
        _score(name, metric, looked_at(metric, predictions), confidence, resamples, seed)
        for name, metric in metrics.items(keep_base=True)
    ]


def _score(
    name: str,
    metric: Metric,
    predictions: Predictions,
    confidence: float,
    resamples: int,
    seed: int,
) -> Score:
    value, reason = measure(metric, predictions)
    statistic = confusion_statistic(metric, [predictions])
    higher_is_better = metric.higher_is_better is not False
    drawn = "bootstrap" if predictions.groups is None else "group bootstrap"
    if np.isnan(value):
        (low, high), method = UNDEFINED, drawn
    elif statistic is None:
        capped = min(resamples, ROW_RESAMPLES)
        method = f"{drawn}, {capped} resamples"
        low, high = bootstrap_rows(
            lambda rows: measure(metric, predictions, rows)[0],
            len(predictions),
            capped,
            confidence,
            seed,
            predictions.groups,
        )
    else:
        value = float(statistic(predictions.confusion()))  # float64 where torchmetrics has float32
        (low, high), method = _confusion_interval(statistic, predictions, confidence, resamples, seed)
        method = method or drawn
    if higher_is_better and value in (0.0, 1.0) and low == high and not _constant(predictions):
        method = "wilson, every resample alike"
        independent = len(predictions) if predictions.groups is None else len(np.unique(predictions.groups))
        low, high = wilson(value * independent, independent, confidence)
    if reason is None and np.isnan(low):
        reason = "too few rows or groups for an interval"
    return Score(name, value, low, high, len(predictions), confidence, method, higher_is_better, reason)


def _confusion_interval(
    statistic: Statistic,
    predictions: Predictions,
    confidence: float,
    resamples: int,
    seed: int,
) -> tuple[Interval, str]:
    """Bound a confusion-matrix statistic; the method is empty where it is the usual bootstrap."""
    right = int((predictions.predicted == predictions.target).sum())
    if statistic is statistics.accuracy and predictions.groups is None:
        return wilson(right, len(predictions), confidence), "wilson"
    interval = bootstrap_units(units_of(predictions), statistic, resamples, confidence, seed)
    return interval, "wilson, no error seen" if right == len(predictions) else ""


def _constant(predictions: Predictions) -> bool:
    """Whether all rows have one answer: statistics such as kappa are then 0 by definition, and surely so."""
    return len(np.unique(predictions.predicted)) < 2


def per_class(
    predictions: Predictions, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> list[LabelScores]:
    """Score each label by precision, recall and F1, each with its interval.

    Precision and recall are shares, so their interval is Wilson's. F1 is 2J / (1 + J) of the share
    J = hits / (hits + misses + false alarms), so Wilson's interval of J is mapped through it. Where the
    predictions have groups, whole groups are resampled instead. A label without test rows has no recall, one
    never answered no precision: nan, with the reason.
    """
    confusion = predictions.confusion()
    hits = np.diagonal(confusion)
    truths, answers = confusion.sum(1), confusion.sum(0)
    table = []
    for i, label in enumerate(predictions.labels):
        counts = {"precision": answers[i], "recall": truths[i], "f1": truths[i] + answers[i] - hits[i]}
        scores = {name: _label_score(name, label, int(hits[i]), int(n), confidence) for name, n in counts.items()}
        table.append(LabelScores(label, int(truths[i]), **scores))
    if predictions.groups is not None:
        table = _by_groups(table, predictions, confidence, resamples, seed)
    return table


def _label_score(name: str, label: str, hits: int, n: int, confidence: float) -> Score:
    """Make a share, or F1 from the share J, into a score."""
    value, (low, high) = hits / n if n else float("nan"), wilson(hits, n, confidence)
    if name == "f1":
        value, low, high = (2 * share / (1 + share) for share in (value, low, high))
    absent = {
        "precision": f"{label!r} was never answered",
        "recall": f"no test row has the truth {label!r}",
        "f1": f"{label!r} occurs in neither truth nor answers",
    }
    return Score(name, value, low, high, n, confidence, "wilson", True, None if n else absent[name])


def _by_groups(
    table: list[LabelScores], predictions: Predictions, confidence: float, resamples: int, seed: int
) -> list[LabelScores]:
    """Replace the intervals by those of resampled groups."""
    units = units_of(predictions)
    drawn: dict[str, list[NDArray[np.float64]]] = {"precision": [], "recall": [], "f1": []}
    if units.independent > 1:
        for counts in units.draws(resamples, seed):
            stack = units.confusions(counts)
            for name, values in drawn.items():
                values.append(getattr(statistics, name)(stack))
    regrouped = []
    for i, row in enumerate(table):
        changed: dict[str, Any] = {}
        for name, values in drawn.items():
            score: Score = getattr(row, name)
            column = np.concatenate(values)[:, i] if values else np.array([])
            low, high = percentile(column, confidence) if score.defined else UNDEFINED
            if low == high:  # every group agrees: the number of groups still bounds what can be known
                low, high = _all_alike(score, units.independent, confidence)
            few = "too few groups for an interval" if score.defined and np.isnan(low) else score.reason
            changed[name] = replace(score, low=low, high=high, method="group bootstrap", reason=few)
        regrouped.append(replace(row, **changed))
    return regrouped


def _all_alike(score: Score, groups: int, confidence: float) -> Interval:
    low, high = wilson(score.value * groups, groups, confidence)
    return min(low, score.value), max(high, score.value)


def majority(train_counts: Sequence[int] | NDArray[np.int64], like: Predictions) -> Predictions:
    """Answer every row with the commonest training label, and believe in the training shares.

    Args:
        train_counts: Training rows of each label, `[labels]`; of equal counts the first label wins.
        like: Predictions on the same rows, for their truth and identity.
    """
    counts = np.asarray(train_counts, dtype=np.float64)
    rows = len(like)
    return replace(
        like,
        probabilities=np.tile(counts / counts.sum(), (rows, 1)),
        predicted=np.full(rows, int(counts.argmax()), dtype=np.int64),
    )
