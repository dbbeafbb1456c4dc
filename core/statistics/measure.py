"""The values of torchmetrics' metrics on predictions, and which of them are confusion-matrix statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import BinaryAccuracy, MulticlassAccuracy, MulticlassCohenKappa, MulticlassF1Score

from tunebook.statistics import confusion as statistics
from tunebook.statistics.confusion import Statistic
from tunebook.statistics.metrics import Decided, LabelDistance, is_ranking, metric_input, undecided
from tunebook.statistics.predictions import Predictions


def measure(
    metric: Metric, predictions: Predictions, rows: NDArray[np.int64] | None = None
) -> tuple[float, str | None]:
    """Compute a metric on these row numbers (all by default): its value, or nan and the reason.

    It is given what validation gives it. The metric passed in is left as it is.

    Raises:
        TypeError: It makes anything but one number.
    """
    rows = np.arange(len(predictions)) if rows is None else rows
    if not len(rows):
        return float("nan"), "there are no test rows"
    target, answers, probabilities = (
        torch.from_numpy(column[rows])
        for column in (predictions.target, predictions.predicted, predictions.probabilities)
    )
    if is_ranking(metric):  # of a label without rows torchmetrics makes 0
        missing = _unranked(predictions, rows)
        if missing:
            return float("nan"), missing
    value = _compute_alone(undecided(metric), metric_input(metric, probabilities, answers), target)
    return value, "the metric is undefined on these rows" if np.isnan(value) else None


def _unranked(predictions: Predictions, rows: NDArray[np.int64]) -> str | None:
    """Why some label cannot be ranked on these rows; None where all can."""
    target = predictions.target[rows]
    for number, label in enumerate(predictions.labels):
        has = target[:, number] == 1 if predictions.multilabel else target == number
        if not has.any():
            return f"no test row has the truth {label!r}"
        if predictions.multilabel and has.all():
            return f"no test row is without {label!r}"
    return None


def _compute_alone(metric: Metric, given: Tensor, target: Tensor) -> float:
    """Run a fresh copy of the metric in this process only: the others may not be here to synchronise with."""
    fresh = metric.clone().cpu()
    fresh.distributed_available_fn = lambda: False
    fresh.reset()
    fresh.update(given, target)
    value = fresh.compute()
    if isinstance(value, (bool, int, float)):
        return float(value)
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        made = f"{value.numel()} values" if isinstance(value, torch.Tensor) else f"a {type(value).__name__}"
        raise TypeError(f"{type(metric).__name__} gives {made}; a score is one number")
    return float(value)


def looked_at(metric: Metric, predictions: Predictions) -> Predictions:
    """The predictions with the answers that a metric looks at: those decided on, or the likeliest labels."""
    if isinstance(metric, Decided) or predictions.multilabel or not len(predictions):
        return predictions
    return replace(predictions, predicted=predictions.probabilities.argmax(axis=1).astype(np.int64))


def confusion_statistic(metric: Metric, models: Sequence[Predictions]) -> Statistic | None:
    """Find the confusion-matrix statistic that a metric is; None for any other metric.

    It is of the answers that the metric looks at (see `looked_at`), and must give what the metric gives on the
    predictions of each of the models. Where the choice matters: torchmetrics counts a label that is answered but never
    true as recall 0 in its macro-averaged accuracy, scikit-learn leaves it out; on rows where the two differ
    torchmetrics is followed.
    """
    if any(model.multilabel for model in models):
        return None
    for statistic in _candidates(metric):
        pairs = [
            (float(statistic(looked_at(metric, model).confusion())), measure(metric, model)[0]) for model in models
        ]
        if all(abs(ours - theirs) < 1e-5 for ours, theirs in pairs):  # torchmetrics computes in float32
            return statistic
    return None


def _candidates(metric: Metric) -> Sequence[Statistic]:
    inner = undecided(metric)
    if isinstance(inner, LabelDistance):
        return [statistics.mean_absolute_error]
    if getattr(inner, "ignore_index", None) is not None or getattr(inner, "top_k", 1) != 1:
        return []
    if isinstance(inner, MulticlassCohenKappa):
        return [statistics.quadratic_kappa] if inner.weights == "quadratic" else []
    average = getattr(inner, "average", None)
    if isinstance(inner, BinaryAccuracy):
        return [statistics.accuracy] if inner.threshold == 0.5 else []
    if isinstance(inner, MulticlassAccuracy) and average == "micro":
        return [statistics.accuracy]
    if isinstance(inner, MulticlassAccuracy) and average == "macro":
        return [statistics.balanced_accuracy, statistics.macro_accuracy]
    if isinstance(inner, MulticlassF1Score) and average == "macro":
        return [statistics.macro_f1]
    return []
