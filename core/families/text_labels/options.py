"""The typed options of recipes that put any number of labels on a text; a string beneath a field is its help."""

from __future__ import annotations

from dataclasses import dataclass

from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.config.schema import FamilyConfig
from tunebook.config.texts import AnnotatedDataConfig, ListedLabelsDataConfig


@dataclass
class TextLabelsConfig(FamilyConfig):
    """Options of every model that puts any number of labels on a text."""

    topics: list[str] | None = None
    """Columns of 1 or 0, one per label (default: the recipe's own, unless data.label names a column that lists
    them)."""


@dataclass
class TextLabelsData(ListedLabelsDataConfig, AnnotatedDataConfig):
    """Rows with a text and any number of labels."""


@dataclass
class NewTextLabelsData(EvaluateDataConfig, AnnotatedDataConfig):
    """Texts to score a finished model on."""

    text: str | None = None
    """Column that holds the text (default: as in training)."""
    text_pair: str | None = None
    """Column that holds the second text of a model that reads two (default: as in training)."""
    label: str | None = None
    """Column that lists all labels of a row (default: as in training: this column, or a column of 1 or 0 per label)."""
    separator: str | None = None
    """What separates the labels in a cell of data.label (default: as in training)."""
