"""The family of models that give a text a value for each of several aspects."""

from __future__ import annotations

from tunebook.config.score import SubgroupScoreConfig
from tunebook.families.family import Family
from tunebook.families.text_aspects.options import AspectData, NewAspectData, TextAspectsConfig

FAMILY = Family(
    name="text_aspects",
    code="tunebook.families.text_aspects.stages:TextAspectsStages",
    inputs_code="tunebook.families.text_aspects.inputs:AspectInputs",
    recipe=TextAspectsConfig,
    data=AspectData,
    evaluation=SubgroupScoreConfig,
    new_data=NewAspectData,
    new_evaluation=SubgroupScoreConfig,
    does="gives texts a value for each aspect",
    task="text-classification",
)
