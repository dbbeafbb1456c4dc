"""How many stars a review gives, as a number: 3.4 is nearer to 3 than to 5, which labels do not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunebook import Head, TextRegression, TextRegressionConfig


@dataclass
class RatingConfig(TextRegressionConfig):
    """Options of rating."""

    lowest: float = 1.0
    """Smallest rating that there is."""
    highest: float = 5.0
    """Greatest rating that there is."""


class Rating(TextRegression[RatingConfig]):
    """The rating of a review."""

    Config = RatingConfig
    contract = 1

    def invalid(self, row: Mapping[str, str]) -> str | None:
        """Refuse what is no rating of this scale."""
        lowest, highest = self.options.lowest, self.options.highest
        within = "label" not in row or lowest <= float(row["label"]) <= highest
        return None if within else f"has the rating {row['label']}, which is not from {lowest:g} to {highest:g}"

    def head(self, labels: Sequence[str]) -> Head:
        """One number, never off the scale."""
        from .head import RatingHead

        return RatingHead(self.options.lowest, self.options.highest)
