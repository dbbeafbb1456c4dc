"""A tuned model ready to put labels on texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from tunebook.families.text_labels.columns import in_words
from tunebook.families.text_labels.head import LabelsHead
from tunebook.families.text_labels.thresholds import Chosen
from tunebook.families.text_predictor import TextPredictor


@dataclass(kw_only=True)
class TextLabeller(TextPredictor):
    """Texts in, any number of labels and the probability of each out.

    Attributes:
        labels: Label names by index.
        chosen: The labels' thresholds; None where the head decides by a rule of its own.
    """

    labels: tuple[str, ...]
    chosen: Chosen | None = None

    def __post_init__(self) -> None:
        """The head decides by the thresholds."""
        if self.chosen is not None and isinstance(self.head, LabelsHead):
            self.head = self.head.at([self.chosen.thresholds[label] for label in self.labels])

    @property
    def columns(self) -> list[str]:
        """Columns of `answers`."""
        return [*super().columns, *(f"probability_{label}" for label in self.labels)]

    def cells(
        self,
        texts: Sequence[str],
        device: torch.device | None,
        advance: Callable[[int], None],
        pairs: Sequence[str] | None,
    ) -> Iterator[Sequence[str | float]]:
        """The labels of each text in words, and the probability of every label."""
        for row, flags in zip(*self.predict(texts, device, advance, pairs), strict=True):
            yield [in_words(flags, self.labels), *map(float, row)]

    def predict(
        self,
        texts: Sequence[str],
        device: torch.device | None = None,
        advance: Callable[[int], None] = lambda done: None,
        pairs: Sequence[str] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Label texts, or ``pairs`` of them: probabilities float64 and flags int64, ``[texts, labels]`` each."""
        empty = np.zeros((0, len(self.labels)))
        probabilities = np.concatenate([empty, *self.outputs(texts, self.probabilities, device, advance, pairs)])
        return probabilities, self.head.decide(torch.from_numpy(probabilities)).long().numpy()
