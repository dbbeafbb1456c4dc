"""Learning from pairs: an encoder tuned until texts of one label are close to each other, and others far.

Few labelled rows make many pairs (Tunstall et al. 2022, arXiv:2209.11055). Here every two rows of a batch are one, so
that a row is encoded once for all of its pairs (Khosla et al. 2020, arXiv:2004.11362), and an epoch grows with the rows
and not with their square.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tunebook.data.batch import Batch
from tunebook.training.head import Head


class ContrastiveHead(Head):
    """The features of a batch and the supervised contrastive loss over its pairs; it answers nothing.

    Args:
        temperature: What similarities are divided by: the smaller, the more the nearest others count.
    """

    kind: ClassVar[str] = "contrastive"

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature
        self.outputs = 0

    def forward(self, model: nn.Module, batch: Batch) -> Tensor:
        """Unit-length features of a batch, ``[batch, hidden]``."""
        features: Tensor = F.normalize(model.features(**batch["inputs"]), dim=-1)  # type: ignore[operator]
        return features

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """How unlikely each row finds the others of its label among all others, ``[batch]``; 0 where it has none."""
        features = logits.float()
        itself = torch.eye(len(features), dtype=torch.bool, device=features.device)
        similar = (features @ features.T / self.temperature).masked_fill(itself, float("-inf"))
        likely = similar.log_softmax(dim=1).masked_fill(itself, 0.0)
        same = (target[:, None] == target[None, :]) & ~itself
        return -(likely * same).sum(1) / same.sum(1).clamp(min=1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """None: a final layer comes later."""
        raise NotImplementedError("features have no probabilities")


_POOL = 4  # batches whose pairs are sorted together: less padding, and other negatives in each epoch all the same


def paired_order(
    targets: NDArray[np.int64], lengths: NDArray[np.int64], batch_size: int
) -> Callable[[np.random.Generator], NDArray[np.int64]]:
    """What draws the order of an epoch: each row once, two of a label after each other, so that batches hold pairs.

    Args:
        targets: Label number of each row, ``[rows]``.
        lengths: Tokens of each row, ``[rows]``; pairs of like length come into one batch.
        batch_size: Rows in a batch.
    """
    pool = _POOL * batch_size // 2

    def order(generator: np.random.Generator) -> NDArray[np.int64]:
        pairs: list[NDArray[np.int64]] = []
        single: list[NDArray[np.int64]] = []
        for label in np.unique(targets):
            rows = generator.permutation(np.flatnonzero(targets == label))
            even = len(rows) // 2 * 2
            pairs.append(rows[:even].reshape(-1, 2))
            single.append(rows[even:])
        drawn = generator.permutation(np.concatenate(pairs))
        longest = lengths[drawn].max(axis=1)
        pools = [np.arange(first, min(first + pool, len(drawn))) for first in range(0, len(drawn), pool)]
        alike = [part[np.argsort(longest[part], kind="stable")] for part in pools]
        return np.concatenate([drawn[np.concatenate(alike)].ravel() if alike else drawn.ravel(), *single])

    return order
