"""The family of text classifiers."""

from __future__ import annotations

from tunebook.families.family import Family
from tunebook.families.text_classification.options import (
    NewTextData,
    NewTextEvaluation,
    TextClassificationConfig,
    TextData,
    TextEvaluation,
)

FAMILY = Family(
    name="text_classification",
    code="tunebook.families.text_classification.stages:TextClassificationStages",
    inputs_code="tunebook.families.text_classification.inputs:TextClassificationInputs",
    recipe=TextClassificationConfig,
    data=TextData,
    evaluation=TextEvaluation,
    new_data=NewTextData,
    contrastive=True,
    new_evaluation=NewTextEvaluation,
    does="labels texts",
    task="text-classification",
)
