"""One number a row: the loss of standardised targets, and answers in the user's units."""

from __future__ import annotations

from copy import copy
from typing import ClassVar

from torch import Tensor
from torchmetrics import MetricCollection

from tunebook.data.batch import Batch
from tunebook.training.head import Head


class RegressionHead(Head):
    """One output, which is the answer in the user's units; squared error of standardised targets.

    Attributes:
        deviation: Standard deviation of the training rows' targets; 1 until they are known.
    """

    kind: ClassVar[str] = "regression"
    problem_type: ClassVar[str] = "regression"
    outputs = 1
    deviation: float = 1.0

    def standardised(self, deviation: float) -> RegressionHead:
        """The same head, whose errors are counted in these deviations."""
        made = copy(self)
        made.deviation = deviation
        return made

    def errors(self, logits: Tensor, target: Tensor) -> Tensor:
        """Answer minus target in standard deviations, ``[batch]``: what a loss of one's own is made of."""
        return (logits[:, 0].float() - target.float()) / self.deviation

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Squared error of each row, ``[batch]``, in squared deviations of the training rows' targets."""
        return self.errors(logits, target).square()

    def probabilities(self, logits: Tensor) -> Tensor:
        """The answers themselves, ``[batch, 1]``: a number has no probability."""
        return logits[:, :1].float()

    def decide(self, probabilities: Tensor) -> Tensor:
        """The answer of each row, ``[batch]``."""
        return probabilities[:, 0]

    def measure(self, metrics: MetricCollection, logits: Tensor, losses: Tensor, batch: Batch) -> None:
        """Count a batch into the metrics, in the user's units."""
        answers = self.decide(self.probabilities(logits))
        for metric in metrics.values(copy_state=False):
            metric.update(answers, batch["target"].float())
