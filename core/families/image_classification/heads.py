"""Heads of image classifiers: one label, or several findings; with rare ones made to count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tunebook.data.batch import Batch
from tunebook.errors import UserError
from tunebook.training.head import Head
from tunebook.training.softmax_head import SoftmaxHead

if TYPE_CHECKING:
    from tunebook.families.image_classification.options import ImageClassificationConfig


def _doubt(entropy: Tensor) -> Tensor:
    """One less the probability given to the truth; never 0, where a power below 1 has no slope."""
    return (-torch.expm1(-entropy)).clamp_min(1e-12)


class ImageSoftmaxHead(SoftmaxHead):
    """One label an image: softmax over a network that takes pixels (or features).

    Args:
        labels: Number of labels.
        weights: What a row of each label counts, ``[labels]``; None: one each.
        gamma: Focal loss (Lin et al. 2017): rows that are told right with probability p count (1 - p) ** gamma.
    """

    def __init__(self, labels: int, weights: Tensor | None = None, gamma: float = 0.0) -> None:
        super().__init__(labels)
        self.weights = weights
        self.gamma = gamma

    def forward(self, model: nn.Module, batch: Batch) -> Tensor:
        """Logits ``[batch, labels]``."""
        logits: Tensor = model(**batch["inputs"])
        return logits

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy of each row, weighted, ``[batch]``."""
        entropy = super().loss(logits, target)
        if self.gamma:
            entropy = entropy * _doubt(entropy) ** self.gamma
        return entropy if self.weights is None else entropy * self.weights.to(entropy.device)[target]


class FindingsHead(Head):
    """Any number of findings an image: a sigmoid each.

    Args:
        findings: Number of findings.
        weights: What a row with each finding counts against one without, ``[findings]``; None: the same.
        gamma: Of the focal loss.
    """

    kind: ClassVar[str] = "findings"
    problem_type: ClassVar[str] = "multi_label_classification"
    multilabel: ClassVar[bool] = True

    def __init__(self, findings: int, weights: Tensor | None = None, gamma: float = 0.0) -> None:
        self.outputs = findings
        self.weights = weights
        self.gamma = gamma

    def forward(self, model: nn.Module, batch: Batch) -> Tensor:
        """Logits ``[batch, findings]``."""
        logits: Tensor = model(**batch["inputs"])
        return logits

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Binary cross-entropy of each row, averaged over its findings, ``[batch]``."""
        truth = target.float()
        entropy = F.binary_cross_entropy_with_logits(logits.float(), truth, reduction="none")
        if self.gamma:
            entropy = entropy * _doubt(entropy) ** self.gamma
        if self.weights is not None:
            entropy = entropy * torch.where(truth > 0, self.weights.to(entropy.device), torch.ones_like(truth))
        return entropy.mean(dim=1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Probability of each finding, ``[batch, findings]``; they need not add up to one."""
        return logits.float().sigmoid()

    def decide(self, probabilities: Tensor) -> Tensor:
        """Whether each finding is likelier there than not, ``[batch, findings]``."""
        return (probabilities >= 0.5).long()


def make_head(
    labels: Sequence[str], options: ImageClassificationConfig, targets: NDArray[np.int64] | None = None
) -> Head:
    """The head of these options.

    Args:
        labels: Label or finding names.
        options: The recipe's.
        targets: Of the training rows, for weights: label numbers ``[rows]`` or flags ``[rows, findings]``.
    """
    kind: Any = ImageSoftmaxHead if options.findings is None else FindingsHead
    if options.focal_gamma < 0:
        raise UserError(
            "recipe.focal_gamma must be 0 or more",
            code="config.out-of-range",
            where="recipe.focal_gamma",
            fix="recipe.focal_gamma=2",
        )
    gamma = options.focal_gamma if options.imbalance.name == "focal" else 0.0
    weights = None
    if options.imbalance.name == "weights" and targets is not None:
        weights = _weights(targets, len(labels))
    head: Head = kind(len(labels), weights, gamma)
    return head


def _weights(targets: NDArray[np.int64], labels: int) -> Tensor:
    """Weights under which all labels count alike.

    Of single labels they have mean 1 over the rows; of findings they are against rows without.
    """
    if targets.ndim == 1:
        counts = np.bincount(targets, minlength=labels)
        return torch.tensor(len(targets) / (labels * counts), dtype=torch.float32)
    positive = targets.sum(axis=0)
    return torch.tensor((len(targets) - positive) / positive, dtype=torch.float32)


def start_logits(head: Head, targets: NDArray[np.int64], labels: int) -> Tensor | None:
    """Logits that give each label its share of the training rows; None where weights make all shares alike."""
    if getattr(head, "weights", None) is not None:
        return None
    if targets.ndim == 1:
        return head.prior_logits(torch.from_numpy(np.bincount(targets, minlength=labels)).float())
    share = torch.from_numpy(targets.mean(axis=0)).float()
    return torch.logit(share)
