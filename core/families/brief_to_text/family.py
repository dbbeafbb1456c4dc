"""The family of recipes that write from briefs."""

from __future__ import annotations

from dataclasses import replace

from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.config.schema import ObjectiveConfig
from tunebook.families.brief_to_text.options import BriefData, BriefOptions
from tunebook.families.text_generation.family import FAMILY as TEXT_GENERATION

FAMILY = replace(
    TEXT_GENERATION,
    name="brief_to_text",
    code="tunebook.families.brief_to_text.stages:BriefStages",
    inputs_code="tunebook.families.brief_to_text.inputs:BriefInputs",
    recipe=BriefOptions,
    data=BriefData,
    objective=ObjectiveConfig,
    new_data=EvaluateDataConfig,
    paths={**TEXT_GENERATION.paths, "recipe.template": (), "recipe.schema": ()},
)
