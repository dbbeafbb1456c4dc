"""Models of text classifiers: fresh for training, zero-shot, and ready to label texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from tunebook.config.schema import TrainConfig
from tunebook.data.encoded import Encoded
from tunebook.data.labels import Labels
from tunebook.data.rows import Rows
from tunebook.families.text_classification.predictor import TextClassifier
from tunebook.families.text_classification.wording import descriptions
from tunebook.families.text_classification.zero_shot import ZeroShotClassifier, is_language_model, load_zero_shot
from tunebook.models.sequence_model import load_sequence_model, start_at
from tunebook.models.source import ModelSource
from tunebook.recipe import Head
from tunebook.training.softmax_head import SoftmaxHead

if TYPE_CHECKING:
    from tunebook.families.text_classification.recipe import TextClassification


def label_numbers(labels: Labels) -> Callable[[Rows], np.ndarray]:
    """What makes the number of each row's label, ``[rows]``."""
    return lambda rows: np.array([labels.index(label) for label in rows.texts("label")], dtype=np.int64)


def fresh_classifier(
    recipe: TextClassification[Any], source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
) -> nn.Module:
    """The backbone with a fresh classification layer that starts at the labels' shares."""
    head = recipe.head(labels)
    names = labels if head.outputs == len(labels) else [f"above {label}" for label in labels[: head.outputs]]
    model = load_sequence_model(source, config.model, config.adapt.method, names, head.problem_type, encoded.tokenizer)
    targets = torch.from_numpy(encoded.splits["train"].items.targets)  # type: ignore[attr-defined]
    start_at(model, head.prior_logits(targets.bincount(minlength=len(labels)).float()))
    return model


def zero_shot_model(
    recipe: TextClassification[Any], source: ModelSource, labels: Sequence[str], encoded: Encoded
) -> nn.Module:
    """The backbone without any training, which compares texts with the labels in words."""
    described = descriptions(recipe, labels, following=is_language_model(source))
    return load_zero_shot(source, encoded.tokenizer, described)


def classifier(
    recipe: TextClassification[Any], model: nn.Module, labels: Sequence[str], encoded: Encoded
) -> TextClassifier:
    """A model made ready to label texts."""
    longest = model.longest(encoded.max_length) if isinstance(model, ZeroShotClassifier) else encoded.max_length
    return TextClassifier(model, encoded.tokenizer, answer_head(recipe, model, labels), tuple(labels), longest)


def answer_head(recipe: TextClassification[Any], model: nn.Module, labels: Sequence[str]) -> Head:
    """The head that reads a model's logits: the recipe's, unless the model is the zero-shot one."""
    return SoftmaxHead(len(labels)) if isinstance(model, ZeroShotClassifier) else recipe.head(labels)
