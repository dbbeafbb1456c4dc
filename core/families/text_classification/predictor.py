"""A tuned model ready to label texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tunebook.data.batch import Batch
from tunebook.families.text_predictor import TextPredictor


@dataclass(kw_only=True)
class TextClassifier(TextPredictor):
    """Texts in, labels and probabilities out; a transformers classifier, or the zero-shot one.

    Attributes:
        labels: Label names by index.
    """

    labels: tuple[str, ...]

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
        """The label of each text, and the probability of every label."""
        for row, answer in zip(*self.predict(texts, device, advance, pairs), strict=True):
            yield [self.labels[answer], *map(float, row)]

    def predict(
        self,
        texts: Sequence[str],
        device: torch.device | None = None,
        advance: Callable[[int], None] = lambda done: None,
        pairs: Sequence[str] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Label texts, or ``pairs`` of them: probabilities float64 ``[texts, labels]``, answers int64 ``[texts]``."""
        found = list(self.outputs(texts, self._probabilities, device, advance, pairs))
        if not found:
            return np.zeros((0, len(self.labels))), np.zeros(0, dtype=np.int64)
        answers = [self.head.decide(torch.from_numpy(each)).numpy() for each in found]
        return np.concatenate(found), np.concatenate(answers)

    def _probabilities(self, batch: Batch) -> Tensor:
        """``[batch, labels]``."""
        return self.head.probabilities(self.head.forward(self.model, batch))
