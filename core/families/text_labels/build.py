"""Models that put labels on texts: fresh for training, and ready to answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from tunebook.config.schema import TrainConfig
from tunebook.data.encoded import Encoded
from tunebook.data.pairs import is_paired
from tunebook.families.prepared import Prepared
from tunebook.families.text_labels.answers import predict_rows
from tunebook.families.text_labels.head import LabelsHead
from tunebook.families.text_labels.predictor import TextLabeller
from tunebook.families.text_labels.recipe import TextLabels
from tunebook.families.text_labels.thresholds import Chosen
from tunebook.models.sequence_model import load_sequence_model, start_at
from tunebook.models.source import ModelSource
from tunebook.plugins.contract import broken
from tunebook.training.devices import choose_accelerator
from tunebook.training.head import Head
from tunebook.training.softmax_head import output_names, start_logits

UNTRAINED = "An untrained model cannot decide which labels a text has."
"""Why ``adapt=none`` is refused."""


def several_head(recipe: TextLabels[Any], labels: Sequence[str]) -> Head:
    """The recipe's head.

    Raises:
        BrokenContract: It is of rows with one label.
    """
    head = recipe.head(labels)
    if not head.multilabel:
        what = f"of its head {type(head).__name__}: multilabel is False, and rows may have several labels"
        raise broken(recipe, "head", what, "give a head with multilabel = True")
    return head


def fresh_labeller(
    recipe: TextLabels[Any], source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
) -> nn.Module:
    """The backbone with a fresh classification layer that starts at the labels' shares."""
    head = several_head(recipe, labels)
    names = output_names(head, labels)
    model = load_sequence_model(source, config.model, config.adapt.method, names, head.problem_type, encoded.tokenizer)
    start_at(model, start_logits(head, encoded.splits["train"].targets, len(labels)))
    return model


def chosen_labeller(prepared: Prepared[TextLabels[Any]], model: nn.Module) -> TextLabeller:
    """A trained model made ready to answer, with thresholds from the validation rows."""
    encoded, config = prepared.encoded, prepared.config
    head, rows = several_head(prepared.recipe, prepared.labels), encoded.rows["validation"]
    paired = is_paired(encoded.rows["train"])
    labeller = TextLabeller(model, encoded.tokenizer, head, encoded.max_length, paired, labels=prepared.labels)
    if not isinstance(head, LabelsHead):
        return labeller
    device = torch.device(choose_accelerator(config.trainer))
    found = Chosen.on(predict_rows(labeller, rows, "validation rows", config.trainer.progress, device))
    model.cpu()
    return TextLabeller(
        model, encoded.tokenizer, head, encoded.max_length, paired, labels=prepared.labels, chosen=found
    )
