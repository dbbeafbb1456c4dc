"""The family of models that put any number of labels on a text."""

from __future__ import annotations

from tunebook.config.score import SubgroupScoreConfig
from tunebook.families.family import Family
from tunebook.families.text_labels.options import NewTextLabelsData, TextLabelsConfig, TextLabelsData

FAMILY = Family(
    name="text_labels",
    code="tunebook.families.text_labels.stages:TextLabelsStages",
    inputs_code="tunebook.families.text_labels.inputs:TextLabelsInputs",
    recipe=TextLabelsConfig,
    data=TextLabelsData,
    evaluation=SubgroupScoreConfig,
    new_data=NewTextLabelsData,
    new_evaluation=SubgroupScoreConfig,
    does="puts any number of labels on texts",
    task="text-classification",
)
