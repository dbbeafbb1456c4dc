"""Heads that any classification recipe may use."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from tunebook.training.head import Head


class SoftmaxHead(Head):
    """One output a label; cross-entropy."""

    kind: ClassVar[str] = "softmax"

    def __init__(self, labels: int) -> None:
        self.outputs = labels

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy of each row, ``[batch]``."""
        return F.cross_entropy(logits.float(), target, reduction="none")

    def prior_logits(self, counts: Tensor) -> Tensor:
        """Log shares, ``[labels]``."""
        return (counts / counts.sum()).log()

    def probabilities(self, logits: Tensor) -> Tensor:
        """Softmax over the labels, ``[batch, labels]``."""
        return logits.float().softmax(dim=-1)
