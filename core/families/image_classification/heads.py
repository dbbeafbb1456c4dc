"""The head of an image classifier's options, and what they make of rare labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunebook.errors import UserError
from tunebook.families.image_classification.options import ImageClassificationConfig
from tunebook.families.image_classification.recipe import ImageClassification
from tunebook.plugins.contract import broken
from tunebook.training.head import Head
from tunebook.training.softmax_head import FindingsHead, SoftmaxHead

_TRIED = 64
"""Rows that show whether a loss looks at weights."""


def make_head(labels: Sequence[str], options: ImageClassificationConfig) -> Head:
    """The family's own head of these options."""
    if options.focal_gamma < 0:
        raise UserError(
            "recipe.focal_gamma must be 0 or more",
            code="config.out-of-range",
            where="recipe.focal_gamma",
            fix="recipe.focal_gamma=2",
        )
    gamma = options.focal_gamma if options.imbalance.name == "focal" else 0.0
    kind: Any = SoftmaxHead if options.findings is None else FindingsHead
    head: Head = kind(len(labels), gamma=gamma)
    return head


def training_head(recipe: ImageClassification[Any], labels: Sequence[str], targets: NDArray[np.int64]) -> Head:
    """The recipe's head with what ``recipe.imbalance`` asks for.

    Args:
        recipe: Makes the head.
        labels: Label or finding names.
        targets: Of the training rows: label numbers ``[rows]``, or flags ``[rows, findings]``.

    Raises:
        BrokenContract: The head is of rows with one label where they may have several, or the other way round.
        UserError: The head's loss does not look at what ``recipe.imbalance`` asks for.
    """
    head = recipe.head(labels)
    several = targets.ndim == 2
    if head.multilabel != several:
        rows = "rows may have several findings (recipe.findings)" if several else "rows have one label"
        what = f"of its head {type(head).__name__}: multilabel is {head.multilabel}, and {rows}"
        raise broken(recipe, "head", what, f"give a head with multilabel = {several}")
    imbalance = recipe.options.imbalance.name
    if imbalance == "none":
        return head
    if not (isinstance(head, (SoftmaxHead, FindingsHead)) and _rebalanced(head, recipe.options, targets)):
        own = f"the recipe's head {type(head).__name__} has its own loss"
        raise UserError(
            f"recipe.imbalance={imbalance} has no effect: {own}",
            code="config.no-effect",
            where="recipe.imbalance",
            fix="recipe.imbalance=none",
        )
    return head


def _rebalanced(
    head: SoftmaxHead | FindingsHead, options: ImageClassificationConfig, targets: NDArray[np.int64]
) -> bool:
    """Make rare labels, or hard images, count more; false where the head's loss takes no notice."""
    head.weights, head.gamma = None, 0.0
    before = _sample_loss(head, targets)
    if options.imbalance.name == "focal":
        head.gamma = options.focal_gamma
        return head.gamma == 0 or not _sample_loss(head, targets).equal(before)
    head.weights = _weights(targets, head.outputs)
    even = bool((head.weights == 1).all())
    return even or not _sample_loss(head, targets).equal(before)


def _sample_loss(head: Head, targets: NDArray[np.int64]) -> Tensor:
    """The loss of some training rows at made-up logits, ``[rows]``."""
    chosen = np.random.default_rng(0).permutation(len(targets))[:_TRIED]
    logits = torch.randn(len(chosen), head.outputs, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return head.loss(logits, torch.from_numpy(targets[chosen]))


def _weights(targets: NDArray[np.int64], labels: int) -> Tensor:
    """Weights under which all labels count alike.

    Of single labels they have mean 1 over the rows; of findings they are against rows without.
    """
    if targets.ndim == 1:
        counts = np.bincount(targets, minlength=labels)
        return torch.tensor(len(targets) / (labels * counts), dtype=torch.float32)
    positive = targets.sum(axis=0)
    return torch.tensor((len(targets) - positive) / positive, dtype=torch.float32)
