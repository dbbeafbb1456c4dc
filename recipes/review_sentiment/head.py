"""A head for ordered labels such as stars: being four stars off costs more than being one star off."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from tunebook import Head


class OrdinalHead(Head):
    """CORN: one output for each step between neighbouring labels (Shi, Cao & Raschka 2021, arXiv:2111.08851).

    Output k answers "is the label above the k-th, given that it is above the one before?". It learns from
    the rows whose label is at least the k-th, so that the products of the answers never contradict each other.
    CORAL (Cao, Mirjalili & Raschka 2020) gets the same by one weight vector that all steps share, which a
    plain linear layer does not have.
    """

    kind: ClassVar[str] = "ordinal"
    problem_type: ClassVar[str] = "multi_label_classification"  # a plain pipeline shows a sigmoid of each output

    def __init__(self, labels: int) -> None:
        self.outputs = labels - 1

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Binary cross-entropy of each row over the steps it can teach, ``[batch]``.

        Row i teaches step k when ``target[i] >= k``. The paper's mean is over all taught steps of a batch;
        here each row sums its own and divides by the number of steps, so that a row's loss does not depend
        on the batch it happens to be in.
        """
        steps = torch.arange(self.outputs, device=logits.device)
        above = (target[:, None] > steps).float()
        taught = (target[:, None] >= steps).float()
        entropy = F.binary_cross_entropy_with_logits(logits.float(), above, reduction="none")
        return (entropy * taught).sum(dim=1) / self.outputs

    def prior_logits(self, counts: Tensor) -> Tensor:
        """Log odds of going on at each step, ``[labels - 1]``: rows above the k-th label against rows at it."""
        above = counts.flip(0).cumsum(0).flip(0)[1:]
        return (above / counts[:-1]).log()

    def probabilities(self, logits: Tensor) -> Tensor:
        """Probability of each label, ``[batch, labels]``: the differences of P(label > k)."""
        exceeds = logits.float().sigmoid().cumprod(dim=1)
        one, zero = torch.ones_like(exceeds[:, :1]), torch.zeros_like(exceeds[:, :1])
        return torch.cat([one, exceeds], dim=1) - torch.cat([exceeds, zero], dim=1)

    def decide(self, probabilities: Tensor) -> Tensor:
        """The median label, ``[batch]``: the number of steps exceeded with probability above one half."""
        at_most = probabilities.cumsum(dim=1)[:, :-1]
        return (at_most < 0.5).sum(dim=1)
