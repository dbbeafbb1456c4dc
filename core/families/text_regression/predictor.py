"""A tuned model ready to answer texts with numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tunebook.data.batch import Batch
from tunebook.families.text_predictor import TextPredictor


@dataclass
class TextRegressor(TextPredictor):
    """Texts in, numbers out; a transformers model whose output is in the user's units."""

    def cells(
        self,
        texts: Sequence[str],
        device: torch.device | None,
        advance: Callable[[int], None],
        pairs: Sequence[str] | None,
    ) -> Iterator[Sequence[str | float]]:
        """The number of each text."""
        return ([float(answer)] for answer in self.predict(texts, device, advance, pairs))

    def predict(
        self,
        texts: Sequence[str],
        device: torch.device | None = None,
        advance: Callable[[int], None] = lambda done: None,
        pairs: Sequence[str] | None = None,
    ) -> np.ndarray:
        """Answer texts, or ``pairs`` of them, in the user's units: float64 ``[texts]``."""
        found = self.outputs(texts, self._answer, device, advance, pairs)
        return np.concatenate([np.zeros(0), *(each[:, 0] for each in found)])

    def _answer(self, batch: Batch) -> Tensor:
        """``[batch, 1]``."""
        return self.head.decide(self.probabilities(batch))[:, None]
