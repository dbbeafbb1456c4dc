"""The family of models that answer texts with numbers."""

from __future__ import annotations

from tunebook.config.score import SubgroupScoreConfig
from tunebook.families.family import Family
from tunebook.families.text_regression.options import NewNumberData, NumberData, TextRegressionConfig

FAMILY = Family(
    name="text_regression",
    code="tunebook.families.text_regression.stages:TextRegressionStages",
    inputs_code="tunebook.families.text_inputs:SequenceInputs",
    recipe=TextRegressionConfig,
    data=NumberData,
    evaluation=SubgroupScoreConfig,
    new_data=NewNumberData,
    new_evaluation=SubgroupScoreConfig,
    does="answers texts with numbers",
    task="text-classification",
)
