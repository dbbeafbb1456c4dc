"""Models of text classifiers: fresh for training, zero-shot, and ready to label texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import nn

from tunebook.config.schema import AugmentedDataConfig, Method, TrainConfig
from tunebook.data.augmentations import Augmentations, make_augmentations
from tunebook.data.encoded import Encoded
from tunebook.data.labels import Labels
from tunebook.data.pairs import is_paired
from tunebook.data.rows import Rows
from tunebook.families.family import node_as
from tunebook.families.text_classification.predictor import TextClassifier
from tunebook.families.text_classification.recipe import TextClassification
from tunebook.families.text_classification.recipe import TextClassification as Family
from tunebook.families.text_classification.wording import descriptions
from tunebook.families.text_classification.zero_shot import ZeroShotClassifier, is_language_model, load_zero_shot
from tunebook.models.sequence_model import load_sequence_model, start_at
from tunebook.models.source import ModelSource
from tunebook.recipe import Head
from tunebook.training.softmax_head import SoftmaxHead, output_names, start_logits


def label_numbers(labels: Labels) -> Callable[[Rows], np.ndarray]:
    """What makes the number of each row's label, ``[rows]``."""
    return lambda rows: np.array([labels.index(label) for label in rows.texts("label")], dtype=np.int64)


def fresh_classifier(
    recipe: TextClassification[Any], source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
) -> nn.Module:
    """The backbone with a fresh classification layer that starts at the labels' shares."""
    head = recipe.head(labels)
    names = output_names(head, labels)
    model = load_sequence_model(source, config.model, config.adapt.method, names, head.problem_type, encoded.tokenizer)
    targets = encoded.splits["train"].targets
    start_at(model, start_logits(head, targets, len(labels)))
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
    paired = is_paired(encoded.rows["train"])
    head = answer_head(recipe, model, labels)
    return TextClassifier(model, encoded.tokenizer, head, longest, paired, labels=tuple(labels))


def answer_head(recipe: TextClassification[Any], model: nn.Module, labels: Sequence[str]) -> Head:
    """The head that reads a model's logits: the recipe's, unless the model is the zero-shot one."""
    return SoftmaxHead(len(labels)) if isinstance(model, ZeroShotClassifier) else recipe.head(labels)


def own_augmentations(recipe: TextClassification[Any], config: TrainConfig) -> Augmentations | None:
    """What the recipe itself and the packages that the config names change; None where nothing does."""
    if config.adapt.method in (Method.head, Method.none):
        return None
    says = type(recipe).augment is not Family.augment
    named = node_as(config.data, AugmentedDataConfig).augmentations
    return make_augmentations(named, recipe.augment if says else None, config.seed)
