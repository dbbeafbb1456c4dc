"""A value for each aspect: softmax over the values of an aspect, and losses of known values alone."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from tunebook.data.batch import IGNORE_INDEX
from tunebook.training.head import Head


class AspectsHead(Head):
    """One output for each value of each aspect, aspect by aspect; cross-entropy.

    Args:
        aspects: Number of aspects.
        values: Number of values that each may have.
    """

    kind: ClassVar[str] = "aspects"
    problem_type: ClassVar[str] = "multi_label_classification"  # a plain pipeline shows a sigmoid of each output

    def __init__(self, aspects: int, values: int) -> None:
        self.aspects, self.values = aspects, values
        self.outputs = aspects * values

    def by_aspect(self, outputs: Tensor) -> Tensor:
        """Outputs ``[batch, outputs]`` as ``[batch, aspects, values]``."""
        return outputs.reshape(*outputs.shape[:-1], self.aspects, self.values)

    def entropies(self, logits: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy of each aspect, ``[batch, aspects]``; 0 where its value is unknown."""
        by_aspect = self.by_aspect(logits.float())
        return F.cross_entropy(by_aspect.mT, target, ignore_index=IGNORE_INDEX, reduction="none")

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean cross-entropy of the known aspects of each row, ``[batch]``.

        Args:
            logits: ``[batch, outputs]``.
            target: The number of each aspect's value, ``[batch, aspects]``; `IGNORE_INDEX` where it is unknown.
        """
        known = (target != IGNORE_INDEX).sum(dim=1)
        return self.entropies(logits, target).sum(dim=1) / known.clamp(min=1)

    def prior_logits(self, counts: Tensor) -> Tensor:
        """Log shares of the values of each aspect, ``[outputs]``, of the rows of each output, ``[outputs]``."""
        by_aspect = self.by_aspect(counts)
        return (by_aspect / by_aspect.sum(dim=-1, keepdim=True)).log().flatten()

    def probabilities(self, logits: Tensor) -> Tensor:
        """Softmax over the values of each aspect, ``[batch, outputs]``."""
        wide = logits if logits.dtype == torch.float64 else logits.float()
        return self.by_aspect(wide).softmax(dim=-1).flatten(-2)

    def decide(self, probabilities: Tensor) -> Tensor:
        """The number of the likeliest value of each aspect, ``[batch, aspects]``."""
        return self.by_aspect(probabilities).argmax(dim=-1)
