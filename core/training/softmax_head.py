"""Heads that any classification recipe may use, with rare labels made to count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from tunebook.training.head import Head


class SoftmaxHead(Head):
    """One output a label; cross-entropy.

    Args:
        labels: Number of labels.
        weights: What a row of each label counts, ``[labels]``; None: one each.
        gamma: Focal loss (Lin et al. 2017): rows that are classified right with probability p count (1 - p) ** gamma.
    """

    kind: ClassVar[str] = "softmax"

    def __init__(self, labels: int, weights: Tensor | None = None, gamma: float = 0.0) -> None:
        self.outputs = labels
        self.weights = weights
        self.gamma = gamma

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy of each row, weighted, ``[batch]``."""
        entropy = F.cross_entropy(logits.float(), target, reduction="none")
        if self.gamma:
            entropy = entropy * _doubt(entropy) ** self.gamma
        return entropy if self.weights is None else entropy * self.weights.to(entropy.device)[target]

    def prior_logits(self, counts: Tensor) -> Tensor | None:
        """Log shares, ``[labels]``; None where weights make all shares alike."""
        return None if self.weights is not None else (counts / counts.sum()).log()

    def probabilities(self, logits: Tensor) -> Tensor:
        """Softmax over the labels, ``[batch, labels]``."""
        return _wide(logits).softmax(dim=-1)


class FindingsHead(Head):
    """One output a label, of which a row may have several: a sigmoid each.

    Args:
        labels: Number of labels.
        weights: What a row with each label counts against one without, ``[labels]``; None: the same.
        gamma: Of the focal loss.
    """

    kind: ClassVar[str] = "findings"
    problem_type: ClassVar[str] = "multi_label_classification"
    multilabel: ClassVar[bool] = True

    def __init__(self, labels: int, weights: Tensor | None = None, gamma: float = 0.0) -> None:
        self.outputs = labels
        self.weights = weights
        self.gamma = gamma

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Binary cross-entropy of each row, averaged over its labels, ``[batch]``."""
        truth = target.float()
        entropy = F.binary_cross_entropy_with_logits(logits.float(), truth, reduction="none")
        if self.gamma:
            entropy = entropy * _doubt(entropy) ** self.gamma
        if self.weights is not None:
            entropy = entropy * torch.where(truth > 0, self.weights.to(entropy.device), torch.ones_like(truth))
        return entropy.mean(dim=1)

    def prior_logits(self, counts: Tensor) -> Tensor | None:
        """Log odds of each label, ``[labels]``; None where weights make all even."""
        return None if self.weights is not None else (counts[:, 1] / counts[:, 0]).log()

    def probabilities(self, logits: Tensor) -> Tensor:
        """Probability of each label, ``[batch, labels]``; they need not add up to one."""
        return _wide(logits).sigmoid()

    def decide(self, probabilities: Tensor) -> Tensor:
        """Whether each label is likelier there than not, ``[batch, labels]``."""
        return (probabilities >= 0.5).long()


def activation_of(head: Head) -> str | None:
    """What makes probabilities of a head's logits: softmax, sigmoid, or None where it has a rule of its own."""
    if type(head).probabilities is SoftmaxHead.probabilities:
        return "softmax"
    return "sigmoid" if type(head).probabilities is FindingsHead.probabilities else None


def answers_plainly(head: Head) -> bool:
    """Whether a head's answer is the likeliest label, or what is likelier there than not, as of any other library."""
    return activation_of(head) is not None and type(head).decide in (Head.decide, FindingsHead.decide)


def start_logits(head: Head, targets: NDArray[np.int64], labels: int) -> Tensor | None:
    """The head's logits that give each label its share of the training rows; None where it has none.

    The few rows of a rehearsal lack labels: such a label counts as if it had one row.

    Args:
        head: The head.
        targets: Of the training rows: label numbers ``[rows]``, or flags ``[rows, labels]``.
        labels: Number of labels.
    """
    if targets.ndim == 1:
        counts = np.bincount(targets, minlength=labels)
    else:
        present = targets.sum(axis=0)
        counts = np.stack([len(targets) - present, present], axis=1)
    return head.prior_logits(torch.from_numpy(np.maximum(counts, 1)).float())


def output_names(head: Head, labels: Sequence[str]) -> list[str]:
    """What each output of the final layer is called: a label, or a step between two of them."""
    if head.outputs == len(labels):
        return list(labels)
    if head.outputs == len(labels) - 1:
        return [f"above {label}" for label in labels[:-1]]
    return [f"output {number}" for number in range(head.outputs)]


def _doubt(entropy: Tensor) -> Tensor:
    """One less the probability given to the truth; never 0, where a power below 1 has no slope."""
    return (-torch.expm1(-entropy)).clamp_min(1e-12)


def _wide(logits: Tensor) -> Tensor:
    """Logits in float32 at least: double precision is not rounded away."""
    return logits if logits.dtype == torch.float64 else logits.float()
