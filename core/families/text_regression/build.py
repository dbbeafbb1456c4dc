"""Models of numbers: fresh for training, and ready to answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from tunebook.bundle.manifest import VALUE
from tunebook.config.schema import TrainConfig
from tunebook.data.encoded import Encoded
from tunebook.data.numbers import numbers_of
from tunebook.data.rows import Rows
from tunebook.errors import UserError
from tunebook.families.text_regression.head import RegressionHead
from tunebook.families.text_regression.recipe import TextRegression
from tunebook.families.text_regression.scale import Scale, scale_final_layer, start_at_mean
from tunebook.models.sequence_model import load_sequence_model
from tunebook.models.source import ModelSource
from tunebook.training.devices import choose_accelerator
from tunebook.training.head import Head

UNTRAINED = "An untrained model cannot predict these numbers."
"""Why ``adapt=none`` is refused."""


def targets_of(rows: Rows) -> np.ndarray:
    """The numbers to learn, float64 ``[rows]``."""
    return numbers_of(rows, "label")


def train_targets(encoded: Encoded) -> np.ndarray:
    """Those of the training rows, ``[rows]``."""
    return encoded.splits["train"].targets


def scale_of(encoded: Encoded) -> Scale:
    """Mean and deviation of the training rows' targets."""
    return Scale.of(train_targets(encoded))


def check_targets(targets: np.ndarray) -> None:
    """Refuse training rows that all have one number.

    Raises:
        UserError: They do.
    """
    if np.ptp(targets) == 0:
        raise UserError(
            f"Every training row has the number {targets[0]:g}: there is nothing to learn.",
            code="data.constant-label",
            where="data.label",
            fix="is it the right column? data.label=<column>",
        )


def fresh_regressor(
    recipe: TextRegression[Any], source: ModelSource, config: TrainConfig, encoded: Encoded
) -> nn.Module:
    """The backbone with a fresh final layer that begins near the mean of the targets."""
    head, scale = recipe.head(()), scale_of(encoded)
    names = [VALUE] if head.outputs == 1 else [f"{VALUE}_{i}" for i in range(head.outputs)]
    model = load_sequence_model(source, config.model, config.adapt.method, names, head.problem_type, encoded.tokenizer)
    layer = scale_final_layer(model, head.outputs, scale)
    if layer.bias is None:
        start_at_mean(model, layer, scale.mean, encoded, torch.device(choose_accelerator(config.trainer)))
    return model


def training_head(recipe: TextRegression[Any], encoded: Encoded) -> Head:
    """The recipe's head, its errors counted in deviations of the training rows' targets."""
    head = recipe.head(())
    return head.standardised(scale_of(encoded).deviation) if isinstance(head, RegressionHead) else head
