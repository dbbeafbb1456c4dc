"""What a torchmetrics metric is fed with, and a metric that it does not have."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection


class LabelDistance(Metric):
    """Mean absolute error in label steps between truth and answer, for labels in their order (stars).

    Answers are label indices `[rows]`, or scores `[rows, labels]` of which the largest is taken.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    steps: Tensor
    count: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("steps", default=torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("count", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add rows: answers `[rows]` or scores `[rows, labels]`, and the truth `[rows]`."""
        if preds.ndim == target.ndim + 1:
            preds = preds.argmax(dim=-1)
        self.steps += (preds.long() - target.long()).abs().sum()
        self.count += target.numel()

    def compute(self) -> Tensor:
        """Mean distance over all rows seen; nan before the first."""
        return self.steps.float() / self.count if self.count else torch.tensor(float("nan"))


def update_metrics(metrics: MetricCollection, probabilities: Tensor, predicted: Tensor, target: Tensor) -> None:
    """Count a batch into every metric, each fed with what it looks at.

    Args:
        metrics: Reset and computed as usual; only its `update` is replaced.
        probabilities: `[batch, labels]`.
        predicted: The answers `[batch]`, which need not be the most probable labels.
        target: The truth `[batch]`.
    """
    for metric in metrics.values(copy_state=False):
        metric.update(metric_input(metric, probabilities, predicted), target)


def metric_input(metric: Metric, probabilities: Tensor, predicted: Tensor) -> Tensor:
    """Choose answers `[rows]` or probabilities `[rows, labels]` (of the second label `[rows]` if binary)."""
    if looks_at(metric) == "answers":
        return predicted
    return probabilities[:, 1] if type(metric).__name__.startswith("Binary") else probabilities


def looks_at(metric: Metric) -> str:
    """Say what a metric judges: `answers`, `probabilities`, or the `ranking` that these give the rows."""
    name = type(metric).__name__
    if any(part in name for part in ("AUROC", "AveragePrecision", "ROC", "LogAUC", "EER", "Fixed", "AtS")):
        return "ranking"
    return "probabilities" if "CalibrationError" in name or "HingeLoss" in name else "answers"
