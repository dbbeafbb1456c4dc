"""A head that knows what a mistake costs."""

from __future__ import annotations

import torch
from torch import Tensor

from tunebook import SoftmaxHead


class CostHead(SoftmaxHead):
    """Softmax over the labels, the last of which costs ``miss_cost`` to miss."""

    kind = "asymmetric_cost"

    def __init__(self, labels: int, miss_cost: float) -> None:
        weights = torch.ones(labels)
        weights[-1] = miss_cost
        super().__init__(labels, weights)

    def decide(self, probabilities: Tensor) -> Tensor:
        """The label whose choice costs least to be wrong about."""
        assert self.weights is not None
        return (probabilities * self.weights.to(probabilities)).argmax(dim=-1)
