"""Texts whose label is probably wrong, by the features of the frozen backbone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from tunebook.config.schema import Method
from tunebook.data.pairs import whole_texts
from tunebook.data.personal import masked
from tunebook.families.family import node_as
from tunebook.families.prepared import Prepared
from tunebook.families.suspects import SuspectRows, suspect_rows
from tunebook.families.text_classification.build import fresh_classifier
from tunebook.families.text_classification.options import TextEvaluation
from tunebook.families.text_classification.recipe import TextClassification
from tunebook.models.text_batches import stored_features

SPLITS = ("train", "validation")


def list_suspects(
    prepared: Prepared[TextClassification[Any]], device: torch.device
) -> tuple[SuspectRows | None, list[str]]:
    """The suspects among training and validation rows, where the config asks for them, and notes.

    The features are those of the backbone before training, as ``adapt=head`` stores them: a model that was fitted on a
    wrong label believes it.
    """
    config, encoded = prepared.config, prepared.encoded
    wanted = node_as(config.evaluation, TextEvaluation).suspects
    if not (config.adapt.method is Method.head if wanted is None else wanted):
        return None, []

    def features() -> Sequence[np.ndarray]:
        frozen = replace(config, adapt=replace(config.adapt, method=Method.head))
        model = fresh_classifier(prepared.recipe, prepared.source, prepared.labels, frozen, encoded)
        return [stored_features(model, encoded, prepared.source, frozen, device, name) for name in SPLITS]

    return suspect_rows(
        [encoded.rows[name] for name in SPLITS],
        [encoded.splits[name].targets for name in SPLITS],
        features,
        prepared.labels,
        lambda rows: list(map(masked, whole_texts(rows))),
        config.seed,
    )
