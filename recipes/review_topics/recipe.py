"""What reviews talk about: any number of topics, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunebook import TextLabels, TextLabelsConfig

TOPICS = ("delivery", "quality", "price", "fit", "service")
"""Columns of the sample reviews."""


@dataclass
class ReviewTopicsConfig(TextLabelsConfig):
    """Options of review_topics."""


class ReviewTopics(TextLabels[ReviewTopicsConfig]):
    """What a review talks about."""

    Config = ReviewTopicsConfig

    @property
    def own_topics(self) -> Sequence[str]:
        """Those of the sample reviews."""
        return TOPICS
