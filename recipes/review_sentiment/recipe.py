"""Sentiment of reviews: any set of labels, or ordered stars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from tunebook import TextClassification, TextClassificationConfig, UserError

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

    from tunebook import Head
    from tunebook.config.schema import LabelledDataConfig
    from tunebook.data.labels import Labels


class SentimentHead(Enum):
    """What the model's outputs mean."""

    softmax = "softmax"
    ordinal = "ordinal"


@dataclass
class ReviewSentimentConfig(TextClassificationConfig):
    """Options of review_sentiment."""

    head: SentimentHead = SentimentHead.softmax
    """softmax (unordered labels) or ordinal (stars: a wrong answer costs more the farther off it is)."""


class ReviewSentiment(TextClassification[ReviewSentimentConfig]):
    """What a review says of its product."""

    Config = ReviewSentimentConfig

    def check_labels(self, labels: Labels, data: LabelledDataConfig) -> None:
        """An ordinal head needs labels in a known order."""
        super().check_labels(labels, data)
        if self.options.head is SentimentHead.ordinal and not (labels.is_ordered_numeric or data.labels):
            raise UserError(
                f"An ordinal head needs ordered labels, and these are words: {', '.join(labels.names)}.",
                code="data.unordered-labels",
                where="recipe.head=ordinal",
                fix=f"data.labels=[{','.join(labels.names)}], in the order from worst to best, or recipe.head=softmax",
            )

    def head(self, labels: Sequence[str]) -> Head:
        """Softmax, or CORN for ordered labels."""
        from .head import OrdinalHead

        return OrdinalHead(len(labels)) if self._ordinal else super().head(labels)

    def metrics(self, labels: Sequence[str]) -> MetricCollection:
        """Accuracy and macro F1; for stars also how far off answers are."""
        from .metrics import star_metrics

        metrics = super().metrics(labels)
        if self._ordinal or _are_stars(labels):
            metrics.add_metrics(star_metrics(len(labels)))
        return metrics

    def describe(self, labels: Sequence[str]) -> list[str]:
        """Each label as a customer might say it."""
        if _are_stars(labels):
            lowest, highest = float(labels[0]), float(labels[-1])
            return [_STARS[round(4 * (float(label) - lowest) / (highest - lowest))] for label in labels]
        return [_WORDS.get(label.casefold(), f"This review is {label}.") for label in labels]

    def verdicts(self, labels: Sequence[str]) -> list[str]:
        """Stars as a customer gives them."""
        if not _are_stars(labels):
            return super().verdicts(labels)
        return [f"{label} star{'' if label.strip() == '1' else 's'}" for label in labels]

    @property
    def _ordinal(self) -> bool:
        return self.options.head is SentimentHead.ordinal


def _are_stars(labels: Sequence[str]) -> bool:
    """Three or more whole numbers in rising order, as "1" to "5"."""
    if len(labels) < 3 or not all(label.strip().lstrip("-").isdigit() for label in labels):
        return False
    values = [int(label) for label in labels]
    return values == sorted(values)


_STARS = [
    "This is terrible, a complete waste of money. I hate it and I am returning it.",
    "This is disappointing and poor. I do not like it much.",
    "This is okay, average, nothing special. Some things are good and some are bad.",
    "This is good. I like it, with some small flaws.",
    "This is excellent, perfect. I love it and recommend it to everyone.",
]
_WORDS = {
    "positive": _STARS[4],
    "pos": _STARS[4],
    "neutral": _STARS[2],
    "negative": _STARS[0],
    "neg": _STARS[0],
}
