"""The typed options of recipes that answer a text with a number; a string beneath a field is its help."""

from __future__ import annotations

from dataclasses import dataclass

from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.config.schema import FamilyConfig
from tunebook.config.texts import TextDataConfig


@dataclass
class TextRegressionConfig(FamilyConfig):
    """Options of every model that answers a text with a number."""


@dataclass
class NumberData(TextDataConfig):
    """Rows with a text and a number."""

    label: str = "label"
    """Column that holds the number, with a decimal point and no thousands separators."""


@dataclass
class NewNumberData(EvaluateDataConfig):
    """Rows to score a finished model on."""

    text: str | None = None
    """Column that holds the text (default: as in training)."""
    text_pair: str | None = None
    """Column that holds the second text of a model that reads two (default: as in training)."""
    label: str | None = None
    """Column that holds the number (default: as in training)."""
