"""The family of image classifiers."""

from __future__ import annotations

from tunebook.config.score import GapScoreConfig
from tunebook.families.family import Family
from tunebook.families.image_classification.options import (
    ImageClassificationConfig,
    ImageData,
    ImageEvaluation,
    ImageModel,
    NewImageData,
)

FAMILY = Family(
    name="image_classification",
    code="tunebook.families.image_classification.stages:ImageStages",
    inputs_code="tunebook.families.image_classification.inputs:ImageInputs",
    recipe=ImageClassificationConfig,
    data=ImageData,
    model=ImageModel,
    evaluation=ImageEvaluation,
    new_data=NewImageData,
    new_evaluation=GapScoreConfig,
    paths={"data.image_root": (), "model.weights": ()},
    does="labels images",
)
