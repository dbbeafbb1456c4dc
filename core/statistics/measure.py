"""The values of torchmetrics' metrics on predictions, and which of them are confusion-matrix statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tunebook.statistics import confusion as statistics
from tunebook.statistics.confusion import Statistic
from tunebook.statistics.predictions import Predictions

if TYPE_CHECKING:
    from torch import Tensor
    from torchmetrics import Metric


def measure(
    metric: Metric, predictions: Predictions, rows: NDArray[np.int64] | None = None
) -> tuple[float, str | None]:
    """Compute a metric on these row numbers (all by default): its value, or nan and the reason.

    The metric passed in is left as it is.
    """
    import torch

    from tunebook.statistics.metrics import looks_at, metric_input

    rows = np.arange(len(predictions)) if rows is None else rows
    if not len(rows):
        return float("nan"), "there are no test rows"
    target, answers, probabilities = (
        torch.from_numpy(column[rows])
        for column in (predictions.target, predictions.predicted, predictions.probabilities)
    )
    if looks_at(metric) == "ranking":  # of a label without rows torchmetrics makes 0
        missing = set(range(len(predictions.labels))) - set(target.tolist())
        if missing:
            return float("nan"), f"no test row has the truth {predictions.labels[min(missing)]!r}"
    value = _compute_alone(metric, metric_input(metric, probabilities, answers), target)
    return value, "the metric is undefined on these rows" if np.isnan(value) else None


def _compute_alone(metric: Metric, given: Tensor, target: Tensor) -> float:
    """Run a fresh copy of the metric in this process only: the others may not be here to synchronise with."""
    fresh = metric.clone().cpu()
    fresh.distributed_available_fn = lambda: False
    fresh.reset()
    fresh.update(given, target)
    value = fresh.compute()
    if value.numel() != 1:
        raise TypeError(f"{type(metric).__name__} gives {value.numel()} values; a score is one number")
    return float(value)


def confusion_statistic(metric: Metric, models: Sequence[Predictions]) -> Statistic | None:
    """Find the confusion-matrix statistic that a metric is; None for any other metric.

    It must give what the metric gives on the predictions of each of the models. Where the choice matters:
    torchmetrics counts a label that is answered but never true as recall 0 in its macro-averaged accuracy,
    scikit-learn leaves it out; on rows where the two differ torchmetrics is followed.
    """
    for statistic in _candidates(metric):
        pairs = [(float(statistic(model.confusion())), measure(metric, model)[0]) for model in models]
        if all(abs(ours - theirs) < 1e-5 for ours, theirs in pairs):  # torchmetrics computes in float32
            return statistic
    return None


def _candidates(metric: Metric) -> Sequence[Statistic]:
    from torchmetrics.classification import (
        BinaryAccuracy,
        MulticlassAccuracy,
        MulticlassCohenKappa,
        MulticlassF1Score,
    )

    from tunebook.statistics.metrics import LabelDistance

    if isinstance(metric, LabelDistance):
        return [statistics.mean_absolute_error]
    if isinstance(metric, MulticlassCohenKappa):
        return [statistics.quadratic_kappa] if metric.weights == "quadratic" else []
    average = getattr(metric, "average", None)
    if isinstance(metric, BinaryAccuracy) or (isinstance(metric, MulticlassAccuracy) and average == "micro"):
        return [statistics.accuracy]
    if isinstance(metric, MulticlassAccuracy) and average == "macro":
        return [statistics.balanced_accuracy, statistics.macro_accuracy]
    if isinstance(metric, MulticlassF1Score) and average == "macro":
        return [statistics.macro_f1]
    return []
