"""Tunebook: fine-tuning recipes with an honest report.

The public names below are what a recipe imports. They load on first use, so that
``import tunebook`` itself costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "BriefOptions": "tunebook.tasks.brief_writing",
    "BriefWriting": "tunebook.tasks.brief_writing",
    "FamilyConfig": "tunebook.recipe",
    "FineTuneData": "tunebook.data.module",
    "FineTuner": "tunebook.finetuner",
    "Head": "tunebook.recipe",
    "ImageClassification": "tunebook.tasks.image_classification",
    "ImageClassificationConfig": "tunebook.tasks.image_classification",
    "LabelDistance": "tunebook.evaluation.metrics",
    "Recipe": "tunebook.recipe",
    "SoftmaxHead": "tunebook.tasks.heads",
    "TextClassification": "tunebook.tasks.text_classification",
    "TextClassificationConfig": "tunebook.tasks.text_classification",
    "TextGeneration": "tunebook.tasks.text_generation",
    "TextGenerationConfig": "tunebook.tasks.generation_config",
    "UserError": "tunebook.errors",
}

__all__ = ["__version__", *sorted(_PUBLIC)]

if TYPE_CHECKING:
    from tunebook.data.module import FineTuneData as FineTuneData
    from tunebook.errors import UserError as UserError
    from tunebook.evaluation.metrics import LabelDistance as LabelDistance
    from tunebook.finetuner import FineTuner as FineTuner
    from tunebook.recipe import FamilyConfig as FamilyConfig
    from tunebook.recipe import Head as Head
    from tunebook.recipe import Recipe as Recipe
    from tunebook.tasks.brief_writing import BriefOptions as BriefOptions
    from tunebook.tasks.brief_writing import BriefWriting as BriefWriting
    from tunebook.tasks.generation_config import TextGenerationConfig as TextGenerationConfig
    from tunebook.tasks.heads import SoftmaxHead as SoftmaxHead
    from tunebook.tasks.image_classification import ImageClassification as ImageClassification
    from tunebook.tasks.image_classification import ImageClassificationConfig as ImageClassificationConfig
    from tunebook.tasks.text_classification import TextClassification as TextClassification
    from tunebook.tasks.text_classification import TextClassificationConfig as TextClassificationConfig
    from tunebook.tasks.text_generation import TextGeneration as TextGeneration


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'tunebook' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
