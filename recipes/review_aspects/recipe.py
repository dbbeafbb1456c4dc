"""What a review says of each aspect: nothing, or something good, bad or in between."""

from __future__ import annotations

from dataclasses import dataclass, field

from tunebook import TextAspects, TextAspectsConfig


@dataclass
class ReviewAspectsConfig(TextAspectsConfig):
    """Options of review_aspects."""

    aspects: list[str] = field(default_factory=lambda: ["delivery", "quality", "price"])
    """Columns of the aspects; an empty cell is an unknown value."""


class ReviewAspects(TextAspects[ReviewAspectsConfig]):
    """Delivery, quality and price, or other aspects: a column each."""

    Config = ReviewAspectsConfig
