"""What a sentence says of an aspect: two texts in, one label out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunebook import TextClassification, TextClassificationConfig


@dataclass
class AspectSentimentConfig(TextClassificationConfig):
    """Options of aspect_sentiment."""

    longest_aspect: int = 5
    """Aspects of more words are rejected: most likely the columns were swapped."""


class AspectSentiment(TextClassification[AspectSentimentConfig]):
    """Praise or blame of one aspect; the same sentence may praise another."""

    Config = AspectSentimentConfig
    contract = 1

    def invalid(self, row: Mapping[str, str]) -> str | None:
        """Refuse aspects that are sentences."""
        words = len(row.get("text_pair", "").split())
        return f"has an aspect of {words} words" if words > self.options.longest_aspect else None

    def describe(self, labels: Sequence[str]) -> list[str]:
        """Each label in words, for zero-shot."""
        return [f"The {label} side of it." for label in labels]
