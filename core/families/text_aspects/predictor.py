"""A tuned model ready to give texts a value for each aspect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tunebook.data.columns import PAIR, TEXT
from tunebook.families.text_predictor import TextPredictor


@dataclass(frozen=True)
class AspectAnswers:
    """What was answered for some rows.

    Attributes:
        predicted: The number of each aspect's value, ``[rows, aspects]``.
        probability: Of that value, ``[rows, aspects]``.
    """

    predicted: NDArray[np.int64]
    probability: NDArray[np.float64]


def likeliest(probabilities: NDArray[np.float64], predicted: NDArray[np.int64]) -> AspectAnswers:
    """Answers with their probabilities, of those of all values ``[rows, aspects, values]``."""
    return AspectAnswers(predicted, np.take_along_axis(probabilities, predicted[..., None], axis=-1)[..., 0])


@dataclass(kw_only=True)
class AspectPredictor(TextPredictor):
    """Texts in, a value for each aspect out; a transformers classifier.

    Attributes:
        aspects: Their names.
        values: What each may have, the first for "not mentioned".
    """

    aspects: tuple[str, ...]
    values: tuple[str, ...]

    @property
    def columns(self) -> list[str]:
        """Columns of `answers`."""
        texts = [TEXT, PAIR] if self.paired else [TEXT]
        return [*texts, *(f"{what}_{aspect}" for aspect in self.aspects for what in ("prediction", "probability"))]

    def cells(
        self,
        texts: Sequence[str],
        device: torch.device | None,
        advance: Callable[[int], None],
        pairs: Sequence[str] | None,
    ) -> Iterator[Sequence[str | float]]:
        """The value of each aspect and its probability, for each text."""
        answers = self.answer(texts, device, advance, pairs)
        for predicted, probability in zip(answers.predicted, answers.probability, strict=True):
            yield [
                cell
                for value, share in zip(predicted, probability, strict=True)
                for cell in (self.values[value], float(share))
            ]

    def answer(
        self,
        texts: Sequence[str],
        device: torch.device | None = None,
        advance: Callable[[int], None] = lambda done: None,
        pairs: Sequence[str] | None = None,
    ) -> AspectAnswers:
        """The values that texts, or ``pairs`` of them, get."""
        probabilities = self.predict(texts, device, advance, pairs)
        decided = self.head.decide(torch.from_numpy(probabilities)).numpy()
        return likeliest(probabilities.reshape(len(texts), len(self.aspects), len(self.values)), decided)

    def predict(
        self,
        texts: Sequence[str],
        device: torch.device | None = None,
        advance: Callable[[int], None] = lambda done: None,
        pairs: Sequence[str] | None = None,
    ) -> NDArray[np.float64]:
        """Probabilities of all values of all aspects, aspect by aspect, float64 ``[texts, outputs]``."""
        empty = np.zeros((0, len(self.aspects) * len(self.values)))
        return np.concatenate([empty, *self.outputs(texts, self.probabilities, device, advance, pairs)])
