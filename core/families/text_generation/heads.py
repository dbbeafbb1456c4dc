"""Learning to write the next token: the loss of a causal language model, and its perplexity."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from tunebook.data.batch import IGNORE_INDEX, Batch
from tunebook.families.text_generation.model.language_loss import supervised_losses
from tunebook.training.head import Head


class CausalHead(Head):
    """Cross-entropy of the tokens that are learned; what ``forward`` hands on is one loss for each of them."""

    kind: ClassVar[str] = "causal"
    outputs = 0
    """Adds no layer: a language model has its own output layer."""

    def forward(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss of each token that is learned in nats, ``[supervised tokens]``; logits are never seen whole."""
        return supervised_losses(model, batch["inputs"], batch["target"])

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """The losses of ``forward`` added up by row, ``[batch]``; divided by the batch's ``normalizer`` they are means.

        Args:
            logits: Losses ``[supervised tokens]``.
            target: Token to follow each position, ``[batch, tokens]``.
        """
        row = (target != IGNORE_INDEX).nonzero()[:, 0]
        return logits.new_zeros(len(target)).index_add(0, row, logits)

    def units(self, batch: Batch) -> Tensor:
        """Tokens learned of each row, ``[batch]``."""
        supervised: Tensor = batch["target"] != IGNORE_INDEX
        return supervised.sum(dim=1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Probability of each token that is supervised, ``[supervised tokens]``."""
        return logits.neg().exp()

    def measure(self, metrics: MetricCollection, logits: Tensor, losses: Tensor, batch: Batch) -> None:
        """Count a batch into every metric: each is fed what ``forward`` hands on."""
        for metric in metrics.values(copy_state=False):
            metric.update(logits)


class TokenPerplexity(Metric):
    """Perplexity of the tokens that are supervised: how many equally likely ones the model wavers between."""

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    total: Tensor
    count: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("total", default=torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(self, losses: Tensor) -> None:
        """Add tokens by their loss in nats, ``[supervised tokens]``."""
        self.total += losses.detach().float().sum()
        self.count += losses.numel()

    def compute(self) -> Tensor:
        """The exponential of the mean loss of all tokens seen; nan before the first."""
        return (self.total / self.count).exp() if self.count else torch.tensor(float("nan"), device=self.total.device)
