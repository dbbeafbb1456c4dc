"""A number that never leaves the scale of ratings."""

from __future__ import annotations

from torch import Tensor

from tunebook import RegressionHead


class RatingHead(RegressionHead):
    """Squared error, as for any number; answers beyond the ends of the scale are its ends."""

    kind = "rating"

    def __init__(self, lowest: float, highest: float) -> None:
        self.lowest, self.highest = lowest, highest

    def decide(self, probabilities: Tensor) -> Tensor:
        """The rating of each row, ``[batch]``."""
        return super().decide(probabilities).clamp(self.lowest, self.highest)
