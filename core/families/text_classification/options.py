"""The typed options of this family's recipes."""

from __future__ import annotations

from dataclasses import dataclass

from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.config.schema import AdaptConfig, DataConfig, ModelConfig, TrainerConfig
from tunebook.config.score import EvaluationConfig, ScoreConfig
from tunebook.families.options import FamilyOptions
from tunebook.recipe import FamilyConfig


@dataclass
class TextClassificationConfig(FamilyConfig):
    """Options of every text classifier."""

    descriptions: dict[str, str] | None = None
    """What each label means, in words, for zero-shot: {label: description} (default: the recipe's own)."""


OPTIONS = FamilyOptions(
    recipe=TextClassificationConfig,
    data=DataConfig,
    model=ModelConfig,
    adapt=AdaptConfig,
    trainer=TrainerConfig,
    evaluation=EvaluationConfig,
    new_data=EvaluateDataConfig,
    new_evaluation=ScoreConfig,
)
