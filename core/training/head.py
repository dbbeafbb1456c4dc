"""What a model's outputs mean. Everything here is plain Python: torch is only named, not imported."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from tunebook.data.batch import Batch

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torchmetrics import MetricCollection


class Head(ABC):
    """What the outputs of the model's final layer mean: the loss, and how they become a prediction.

    A head has no parameters. The final layer lives in the transformers or timm model, so that what is
    saved stays a plain model.

    Attributes:
        kind: Name of the head in the bundle.
        problem_type: What transformers calls it: decides whether a plain pipeline applies softmax or sigmoid.
        multilabel: Whether a row may have several labels, or none: the truth is a flag for each, ``[batch, labels]``,
            ``decide`` gives such flags, and probabilities need not add up to one.
        outputs: Number of outputs of the final layer.
    """

    kind: ClassVar[str]
    problem_type: ClassVar[str] = "single_label_classification"
    multilabel: ClassVar[bool] = False
    outputs: int

    def forward(self, model: nn.Module, batch: Batch) -> Tensor:
        """Run the model on a batch: logits ``[batch, outputs]``."""
        made = model(**batch["inputs"])
        logits: Tensor = getattr(made, "logits", made)  # a transformers model wraps them; an image model does not
        return logits

    @abstractmethod
    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of each row, ``[batch]``, not yet averaged."""

    @abstractmethod
    def probabilities(self, logits: Tensor) -> Tensor:
        """Probability of each label, ``[batch, labels]``; rows add up to one, unless a row may have several."""

    def prior_logits(self, counts: Tensor) -> Tensor | None:
        """Logits ``[outputs]`` that give each label its share of the training rows; None where there are none.

        A fresh final layer starts from them, so that the first steps are spent on the texts and not on learning how
        common each label is.

        Args:
            counts: Training rows of each label, ``[labels]``, none of them zero; where a row may have several, the
                rows without and with each label, ``[labels, 2]``.
        """
        return None

    def decide(self, probabilities: Tensor) -> Tensor:
        """The predicted label of each row, ``[batch]``: the likeliest, unless the head knows better."""
        return probabilities.argmax(dim=-1)

    def units(self, batch: Batch) -> Tensor | None:
        """How many parts the loss of each row is a sum of, ``[batch]``, such as its tokens; None: one each."""
        return None

    def measure(self, metrics: MetricCollection, logits: Tensor, losses: Tensor, batch: Batch) -> None:
        """Count a batch into the metrics: its probabilities, or the answers where a metric is `Decided`."""
        from tunebook.statistics.metrics import update_metrics

        probabilities = self.probabilities(logits)
        update_metrics(metrics, probabilities, self.decide(probabilities).long(), batch["target"])
