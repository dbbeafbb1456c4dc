"""What a metric is given, and metrics that torchmetrics does not have.

A metric is given what torchmetrics' own convention gives it: the probabilities `[rows, labels]` and the truth, label
numbers `[rows]` or flags `[rows, labels]` where a row may have several labels. One that judges the decided answers
instead is wrapped in `Decided`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import (
    BinaryCalibrationError,
    BinaryConfusionMatrix,
    BinaryHingeLoss,
    BinaryPrecisionRecallCurve,
    BinaryStatScores,
    MulticlassCohenKappa,
    MulticlassPrecisionRecallCurve,
    MultilabelPrecisionRecallCurve,
)
from torchmetrics.wrappers.abstract import WrapperMetric

_BINARY = (
    BinaryCalibrationError,
    BinaryConfusionMatrix,
    BinaryHingeLoss,
    BinaryPrecisionRecallCurve,
    BinaryStatScores,
)
_RANKING = (BinaryPrecisionRecallCurve, MulticlassPrecisionRecallCurve, MultilabelPrecisionRecallCurve)


class Decided(WrapperMetric):
    """A metric over the answers that the head decided on, label numbers `[rows]`, instead of the probabilities.

    Where `Head.decide` is not the likeliest label, `Decided(MulticlassAccuracy(5))` counts the answers that are right;
    `MulticlassAccuracy(5)` alone takes the likeliest label of each row itself. Where a row may have several labels the
    answers are flags `[rows, labels]`.

    Args:
        metric: Any metric whose `update` takes answers and the truth.
        **kwargs: Of every torchmetrics metric.
    """

    is_differentiable = False
    full_state_update = False

    def __init__(self, metric: Metric, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.metric = metric

    @property
    def higher_is_better(self) -> bool | None:  # type: ignore[override]
        """As the metric inside has it."""
        return self.metric.higher_is_better

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add rows: answers and truth, `[rows]` each."""
        self.metric.update(preds, target)

    def compute(self) -> Any:
        """The value of the metric inside."""
        return self.metric.compute()

    def reset(self) -> None:
        """Forget all rows."""
        super().reset()
        self.metric.reset()


class LabelDistance(Metric):
    """Mean absolute error in label steps between truth and answer, for labels in their order (stars).

    Answers are label indices `[rows]`, or scores `[rows, labels]` of which the largest is taken.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    label_order: ClassVar[str] = "reversible"

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
    """Count a batch into every metric, each given the probabilities, or the answers where it is `Decided`.

    Args:
        metrics: Reset and computed as usual; only its `update` is replaced.
        probabilities: `[batch, labels]`.
        predicted: The answers `[batch]`, which need not be the most probable labels; flags `[batch, labels]` where a
            row may have several.
        target: The truth `[batch]`, or flags `[batch, labels]`.
    """
    for metric in metrics.values(copy_state=False):
        metric.update(metric_input(metric, probabilities, predicted), target)


def metric_input(metric: Metric, probabilities: Tensor, predicted: Tensor) -> Tensor:
    """What a metric is given of a batch: its probabilities, or its answers where the metric is `Decided`.

    torchmetrics' metrics of two classes take the probability of the second, `[rows]`.

    Raises:
        ValueError: Such a metric, and there are not two labels.
    """
    if isinstance(metric, Decided):
        return predicted
    # Sums that round to a little over 1 would be taken for logits.
    probabilities = probabilities.clamp(0, 1)
    if not isinstance(metric, _BINARY):
        return probabilities
    if probabilities.shape[1] != 2:
        raise ValueError(f"{type(metric).__name__} is of two labels, and there are {probabilities.shape[1]}")
    return probabilities[:, 1]


def undecided(metric: Metric) -> Metric:
    """The metric itself, without `Decided` around it."""
    return metric.metric if isinstance(metric, Decided) else metric


def is_ranking(metric: Metric) -> bool:
    """Whether torchmetrics ranks rows by it, which needs rows with and without each label."""
    return isinstance(undecided(metric), _RANKING)


def label_order(metric: Metric) -> str:
    """What a metric makes of the order of the labels: any, reversible or fixed.

    An own metric says so by a class attribute `label_order`. "any", the default, is of labels in no order: renumbered
    together with the rows they give the same value. "reversible" is of labels in an order that may be read from either
    end, such as the distance between stars. "fixed" is of labels at known places, such as a positive one.
    """
    inner = undecided(metric)
    if isinstance(inner, _BINARY):
        return "fixed"
    if isinstance(inner, MulticlassCohenKappa) and inner.weights in ("linear", "quadratic"):
        return "reversible"
    return str(getattr(inner, "label_order", "any"))
