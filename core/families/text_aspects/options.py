"""The typed options of recipes that give a text a value for each aspect; a string beneath a field is its help."""

from __future__ import annotations

from dataclasses import dataclass, field

from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.config.schema import FamilyConfig
from tunebook.config.texts import TextDataConfig


@dataclass
class TextAspectsConfig(FamilyConfig):
    """Options of every model that gives a text a value for each aspect."""

    aspects: list[str] = field(default_factory=list)
    """Columns of the aspects, such as [delivery,quality,price]; an empty cell is an unknown value."""
    values: list[str] = field(default_factory=lambda: ["none", "negative", "neutral", "positive"])
    """Values that every aspect may have; the first means that the text does not mention it."""
    normalize: bool = False
    """Ignore case in the cells of aspects, and spaces around their values."""


@dataclass
class AspectData(TextDataConfig):
    """Rows with a text and a value for each aspect."""


@dataclass
class NewAspectData(EvaluateDataConfig):
    """Rows to score a finished model on."""

    text: str | None = None
    """Column that holds the text (default: as in training)."""
    text_pair: str | None = None
    """Column that holds the second text of a model that reads two (default: as in training)."""
