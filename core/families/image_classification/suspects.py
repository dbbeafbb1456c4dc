"""Images whose label is probably wrong, by the features of the frozen backbone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from tunebook.config.schema import Method
from tunebook.data.rows import IMAGE
from tunebook.families.family import node_as
from tunebook.families.image_classification.batches import fresh_model
from tunebook.families.image_classification.heads import training_head
from tunebook.families.image_classification.options import ImageEvaluation
from tunebook.families.image_classification.recipe import ImageClassification
from tunebook.families.image_classification.stored import stored_features
from tunebook.families.prepared import Prepared
from tunebook.families.suspects import SuspectRows, suspect_rows

SPLITS = ("train", "validation")


def list_suspects(prepared: Prepared[ImageClassification[Any]]) -> tuple[SuspectRows | None, list[str]]:
    """The suspects among training and validation images, where the config asks for them, and notes.

    The features are those of the backbone before training, as ``adapt=head`` stores them: a model that was fitted on a
    wrong label believes it.
    """
    config, encoded, recipe = prepared.config, prepared.encoded, prepared.recipe
    wanted = node_as(config.evaluation, ImageEvaluation).suspects
    one_label = recipe.options.findings is None
    if not (config.adapt.method is Method.head and one_label if wanted is None else wanted):
        return None, []
    targets = [encoded.splits[name].targets for name in SPLITS]

    def features() -> Sequence[NDArray[Any]]:
        frozen = replace(config, adapt=replace(config.adapt, method=Method.head))
        head = training_head(recipe, prepared.labels, targets[0])
        model = fresh_model(head, prepared.source, prepared.labels, frozen, encoded)
        return [stored_features(model, encoded, prepared.source, frozen, name) for name in SPLITS]

    return suspect_rows(
        [encoded.rows[name] for name in SPLITS],
        targets,
        features,
        prepared.labels,
        lambda rows: rows.texts(IMAGE),
        config.seed,
    )
