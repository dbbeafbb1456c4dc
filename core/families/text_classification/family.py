"""The family of text classifiers."""

from __future__ import annotations

from tunebook.config.score import SubgroupScoreConfig
from tunebook.families.family import Family
from tunebook.families.text_classification.options import (
    NewTextData,
    TextClassificationConfig,
    TextData,
    TextEvaluation,
)

FAMILY = Family(
    name="text_classification",
    code="tunebook.families.text_classification.stages:TextClassificationStages",
    inputs_code="tunebook.families.text_inputs:SequenceInputs",
    recipe=TextClassificationConfig,
    data=TextData,
    evaluation=TextEvaluation,
    new_data=NewTextData,
    contrastive=True,
    new_evaluation=SubgroupScoreConfig,
    does="labels texts",
    task="text-classification",
    picks=True,
)
