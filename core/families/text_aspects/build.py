"""Models of aspects, fresh for training."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from tunebook.config.schema import TrainConfig
from tunebook.data.encoded import Encoded
from tunebook.families.text_aspects.columns import counts_of, output_names
from tunebook.families.text_aspects.measures import OVERALL
from tunebook.families.text_aspects.recipe import TextAspects
from tunebook.models.sequence_model import load_sequence_model, start_at
from tunebook.models.source import ModelSource
from tunebook.plugins.contract import broken
from tunebook.recipe import Head

UNTRAINED = "An untrained model knows nothing of these aspects."
"""Why ``adapt=none`` is refused."""


def aspects_head(recipe: TextAspects[Any]) -> Head:
    """The recipe's head, which has an output for each value of each aspect.

    Raises:
        BrokenContract: It has another number of outputs.
    """
    head, outputs = recipe.head(()), len(output_names(recipe.options))
    if head.outputs != outputs:
        what = f"its head {type(head).__name__} has {head.outputs} outputs for {outputs} values of aspects"
        raise broken(recipe, "head", what, "give it an output for each value of each aspect")
    return head


def fresh_model(recipe: TextAspects[Any], source: ModelSource, config: TrainConfig, encoded: Encoded) -> nn.Module:
    """The backbone with a fresh classification layer that starts at the values' shares."""
    head, names = aspects_head(recipe), output_names(recipe.options)
    model = load_sequence_model(source, config.model, config.adapt.method, names, head.problem_type, encoded.tokenizer)
    counts = counts_of(encoded.splits["train"].targets, len(recipe.options.values))
    # A value that an aspect never has in the training rows counts as if it had one row.
    start_at(model, head.prior_logits(torch.from_numpy(np.maximum(counts, 1)).float().flatten()))
    return model


def check_watch(recipe: TextAspects[Any]) -> None:
    """Refuse a recipe that watches what is not measured on test rows.

    Raises:
        BrokenContract: It is such a recipe.
    """
    if recipe.watch not in OVERALL:
        what = f"it watches '{recipe.watch}', which is measured on no test rows"
        raise broken(recipe, "watch", what, f"watch one of {', '.join(OVERALL)}")
