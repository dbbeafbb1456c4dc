"""The typed options of this family's recipes."""

from __future__ import annotations

from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.config.schema import AdaptConfig, DataConfig, ModelConfig, TrainerConfig
from tunebook.config.score import EvaluationConfig, ScoreConfig
from tunebook.families.brief_to_text.writing import BriefOptions as RecipeOptions
from tunebook.families.options import FamilyOptions

OPTIONS = FamilyOptions(
    recipe=RecipeOptions,
    data=DataConfig,
    model=ModelConfig,
    adapt=AdaptConfig,
    trainer=TrainerConfig,
    evaluation=EvaluationConfig,
    new_data=EvaluateDataConfig,
    new_evaluation=ScoreConfig,
)
