"""The typed options of this family's recipes."""

from __future__ import annotations

from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.config.schema import AdaptConfig, DataConfig, ModelConfig, TrainerConfig
from tunebook.config.score import EvaluationConfig, ScoreConfig
from tunebook.families.options import FamilyOptions
from tunebook.families.text_generation.config import TextGenerationConfig as RecipeOptions

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
