"""The typed options of recipes that pre-train an image network."""

from __future__ import annotations

from dataclasses import dataclass

from tunebook import FamilyConfig
from tunebook.config.schema import LabelledDataConfig


@dataclass
class ImagePretrainingConfig(FamilyConfig):
    """Options of every recipe of the family."""

    size: int = 64
    """Height and width of the pictures in pixels."""


@dataclass
class FormulaData(LabelledDataConfig):
    """Rows with a formula and its class."""

    text: str = "picture"
    """Column that holds the formula."""
