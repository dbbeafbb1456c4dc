"""The typed options of recipes that pre-train a language model."""

from __future__ import annotations

from dataclasses import dataclass

from tunebook import FamilyConfig
from tunebook.config.schema import DataConfig


@dataclass
class TextPretrainingConfig(FamilyConfig):
    """Options of every recipe of the family."""

    block: int = 512
    """Tokens in a training sequence; texts follow one another without padding."""


@dataclass
class PassageData(DataConfig):
    """Rows with a text of any length."""

    text: str = "text"
    """Column that holds the text."""
