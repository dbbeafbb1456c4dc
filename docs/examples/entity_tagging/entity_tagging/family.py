"""The family: its name, the options of its recipes, and where its code is."""

from __future__ import annotations

from dataclasses import dataclass, field

from tunebook import FamilyConfig
from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.config.schema import DataConfig
from tunebook.families.family import Family


@dataclass
class EntityTaggingConfig(FamilyConfig):
    """Options of every recipe of the family; a string beneath a field is its help."""

    entities: list[str] = field(default_factory=lambda: ["PER", "ORG", "LOC"])
    """Kinds of names; tags are O, B-<kind> and I-<kind>."""


@dataclass
class SentenceData(DataConfig):
    """Rows with a sentence and its tags."""

    text: str = "text"
    """Column that holds the sentence, with spaces between its words."""
    label: str = "tags"
    """Column that holds the tags, one a word, with spaces between."""
    max_length: int | None = None
    """Longest sentence in tokens (default: the model's limit, at most 512)."""


@dataclass
class NewSentenceData(EvaluateDataConfig):
    """Sentences to score a finished model on."""

    text: str | None = None
    """Column that holds the sentence (default: as in training)."""
    label: str | None = None
    """Column that holds the tags (default: as in training)."""


FAMILY = Family(
    name="entity_tagging",
    code="entity_tagging.stages:TaggingStages",
    recipe=EntityTaggingConfig,
    data=SentenceData,
    new_data=NewSentenceData,
    does="tags words",
    task="token-classification",
)
