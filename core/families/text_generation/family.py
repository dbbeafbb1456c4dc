"""The family of recipes whose models write."""

from __future__ import annotations

from tunebook.families.family import Family
from tunebook.families.text_generation.options import (
    PLAIN,
    ConversationData,
    GenerationAdapt,
    GenerationEvaluation,
    GenerationModel,
    GenerationScore,
    GenerationTrainer,
    NewConversationData,
    PreferenceObjective,
    TextGenerationConfig,
)

FAMILY = Family(
    name="text_generation",
    code="tunebook.families.text_generation.stages:GenerationStages",
    inputs_code="tunebook.families.text_generation.inputs:GenerationInputs",
    recipe=TextGenerationConfig,
    data=ConversationData,
    model=GenerationModel,
    adapt=GenerationAdapt,
    objective=PreferenceObjective,
    trainer=GenerationTrainer,
    evaluation=GenerationEvaluation,
    new_data=NewConversationData,
    new_evaluation=GenerationScore,
    paths={"model.chat_template": (PLAIN,)},
    does="writes on what a row holds",
    task="text-generation",
)
