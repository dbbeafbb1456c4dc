"""Tunebook: fine-tuning recipes with an honest report.

The public names below are what a recipe imports. They load on first use, so that
``import tunebook`` itself costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "AspectsHead": "tunebook.families.text_aspects.head",
    "Batch": "tunebook.data.batch",
    "BriefOptions": "tunebook.families.brief_to_text.options",
    "BriefToText": "tunebook.families.brief_to_text.recipe",
    "Decided": "tunebook.statistics.metrics",
    "FindingsHead": "tunebook.training.softmax_head",
    "Draws": "tunebook.data.draws",
    "Examples": "tunebook.data.module",
    "FamilyConfig": "tunebook.config.schema",
    "FineTuneData": "tunebook.data.module",
    "FineTuner": "tunebook.training.finetuner",
    "Head": "tunebook.training.head",
    "ImageClassification": "tunebook.families.image_classification.recipe",
    "ImageClassificationConfig": "tunebook.families.image_classification.options",
    "LabelDistance": "tunebook.statistics.metrics",
    "LabelsHead": "tunebook.families.text_labels.head",
    "OptimConfig": "tunebook.config.optim",
    "Recipe": "tunebook.recipe",
    "RegressionHead": "tunebook.families.text_regression.head",
    "SoftmaxHead": "tunebook.training.softmax_head",
    "TextAspects": "tunebook.families.text_aspects.recipe",
    "TextAspectsConfig": "tunebook.families.text_aspects.options",
    "TextClassification": "tunebook.families.text_classification.recipe",
    "TextClassificationConfig": "tunebook.families.text_classification.options",
    "TextGeneration": "tunebook.families.text_generation.recipe",
    "TextGenerationConfig": "tunebook.families.text_generation.options",
    "TextLabels": "tunebook.families.text_labels.recipe",
    "TextLabelsConfig": "tunebook.families.text_labels.options",
    "TextRegression": "tunebook.families.text_regression.recipe",
    "TextRegressionConfig": "tunebook.families.text_regression.options",
    "UserError": "tunebook.errors",
}

__all__ = ["__version__", *sorted(_PUBLIC)]

if TYPE_CHECKING:
    from tunebook.config.optim import OptimConfig as OptimConfig
    from tunebook.config.schema import FamilyConfig as FamilyConfig
    from tunebook.data.batch import Batch as Batch
    from tunebook.data.draws import Draws as Draws
    from tunebook.data.module import Examples as Examples
    from tunebook.data.module import FineTuneData as FineTuneData
    from tunebook.errors import UserError as UserError
    from tunebook.families.brief_to_text.options import BriefOptions as BriefOptions
    from tunebook.families.brief_to_text.recipe import BriefToText as BriefToText
    from tunebook.families.image_classification.options import ImageClassificationConfig as ImageClassificationConfig
    from tunebook.families.image_classification.recipe import ImageClassification as ImageClassification
    from tunebook.families.text_aspects.head import AspectsHead as AspectsHead
    from tunebook.families.text_aspects.options import TextAspectsConfig as TextAspectsConfig
    from tunebook.families.text_aspects.recipe import TextAspects as TextAspects
    from tunebook.families.text_classification.options import TextClassificationConfig as TextClassificationConfig
    from tunebook.families.text_classification.recipe import TextClassification as TextClassification
    from tunebook.families.text_generation.options import TextGenerationConfig as TextGenerationConfig
    from tunebook.families.text_generation.recipe import TextGeneration as TextGeneration
    from tunebook.families.text_labels.head import LabelsHead as LabelsHead
    from tunebook.families.text_labels.options import TextLabelsConfig as TextLabelsConfig
    from tunebook.families.text_labels.recipe import TextLabels as TextLabels
    from tunebook.families.text_regression.head import RegressionHead as RegressionHead
    from tunebook.families.text_regression.options import TextRegressionConfig as TextRegressionConfig
    from tunebook.families.text_regression.recipe import TextRegression as TextRegression
    from tunebook.recipe import Recipe as Recipe
    from tunebook.statistics.metrics import Decided as Decided
    from tunebook.statistics.metrics import LabelDistance as LabelDistance
    from tunebook.training.finetuner import FineTuner as FineTuner
    from tunebook.training.head import Head as Head
    from tunebook.training.softmax_head import FindingsHead as FindingsHead
    from tunebook.training.softmax_head import SoftmaxHead as SoftmaxHead


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'tunebook' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
