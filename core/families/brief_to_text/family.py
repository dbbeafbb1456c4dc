"""The family of recipes that write from briefs."""

from __future__ import annotations

from tunebook.families.brief_to_text.options import BriefData, BriefOptions
from tunebook.families.family import Family
from tunebook.families.text_generation.options import (
    PLAIN,
    GenerationAdapt,
    GenerationEvaluation,
    GenerationModel,
    GenerationScore,
    GenerationTrainer,
)

FAMILY = Family(
    name="brief_to_text",
    code="tunebook.families.brief_to_text.stages:BriefStages",
    inputs_code="tunebook.families.brief_to_text.inputs:BriefInputs",
    recipe=BriefOptions,
    data=BriefData,
    model=GenerationModel,
    adapt=GenerationAdapt,
    trainer=GenerationTrainer,
    evaluation=GenerationEvaluation,
    new_evaluation=GenerationScore,
    paths={"model.chat_template": (PLAIN,), "recipe.template": ()},
    does="writes on what a row holds",
    task="text-generation",
)
