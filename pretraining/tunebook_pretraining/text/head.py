"""What the outputs of a language model mean."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric

from tunebook import Head


class NextTokenHead(Head):
    """Cross-entropy of the next token at every position, averaged over a block."""

    kind: ClassVar[str] = "next_token"

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean loss of each block in nats, ``[batch]``, of logits ``[batch, tokens, vocabulary]``."""
        losses = F.cross_entropy(logits.float().flatten(0, 1), target.flatten(), reduction="none")
        return losses.view_as(target).mean(dim=1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Probability of each token, ``[batch, tokens, vocabulary]``."""
        return logits.float().softmax(dim=-1)


class TokenAccuracy(Metric):
    """Share of tokens that the model would have written itself."""

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    right: Tensor
    count: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("right", default=torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("count", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add guesses and truth, ``[batch, tokens]``."""
        self.right += (preds == target).sum()
        self.count += target.numel()

    def compute(self) -> Tensor:
        """The share over all tokens seen; nan before the first."""
        return self.right / self.count if self.count else torch.tensor(float("nan"))
