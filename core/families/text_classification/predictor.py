"""A tuned model ready to label texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tunebook.data.batch import Batch
from tunebook.data.columns import TEXT
from tunebook.data.content import Content
from tunebook.data.pairs import pairs_of
from tunebook.data.rows import Rows
from tunebook.errors import UserError
from tunebook.families.text_classification.calibration import Calibration
from tunebook.families.text_predictor import TextPredictor
from tunebook.models.final_layer import final_layer

SURE = "sure"
"""The column that says of an answer whether the model is sure."""


@dataclass(kw_only=True)
class TextClassifier(TextPredictor):
    """Texts in, labels and probabilities out; a transformers classifier, or the zero-shot one.

    Attributes:
        labels: Label names by index.
        calibration: What was chosen on the validation rows; None of a model that has nothing of it.
        not_sure: The probability of an answer below which `answers` says that it is not sure; None: it says nothing.
        unsure: Such answers so far, to be reported.
    """

    labels: tuple[str, ...]
    calibration: Calibration | None = None
    not_sure: float | None = None
    unsure: int = 0

    @property
    def columns(self) -> list[str]:
        """Columns of `answers`."""
        sure = [] if self.not_sure is None else [SURE]
        return [*super().columns, *sure, *(f"probability_{label}" for label in self.labels)]

    def cells(
        self,
        texts: Sequence[str],
        device: torch.device | None,
        advance: Callable[[int], None],
        pairs: Sequence[str] | None,
    ) -> Iterator[Sequence[str | float]]:
        """The label of each text, and the probability of every label."""
        for row, answer in zip(*self.predict(texts, device, advance, pairs), strict=True):
            yield [self.labels[answer], *self._sure(row[answer]), *map(float, row)]

    def _sure(self, probability: float) -> list[str]:
        """Whether an answer with this probability is one to go by, where that was asked for."""
        if self.not_sure is None:
            return []
        unsure = bool(probability < self.not_sure)
        self.unsure += unsure
        return ["no" if unsure else "yes"]

    def predict(
        self,
        texts: Sequence[str],
        device: torch.device | None = None,
        advance: Callable[[int], None] = lambda done: None,
        pairs: Sequence[str] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Label texts, or ``pairs`` of them: probabilities float64 ``[texts, labels]``, answers int64 ``[texts]``."""
        found = list(self.outputs(texts, self.probabilities, device, advance, pairs))
        if not found:
            return np.zeros((0, len(self.labels))), np.zeros(0, dtype=np.int64)
        answers = [self.head.decide(torch.from_numpy(each)).numpy() for each in found]
        return np.concatenate(found), np.concatenate(answers)

    def logits(
        self,
        texts: Sequence[str],
        device: torch.device | None = None,
        advance: Callable[[int], None] = lambda done: None,
        pairs: Sequence[str] | None = None,
    ) -> np.ndarray:
        """The model's outputs, float64 ``[texts, outputs]``."""
        found = list(self.outputs(texts, lambda batch: self.head.forward(self.model, batch), device, advance, pairs))
        return np.concatenate([np.zeros((0, self.head.outputs)), *found])

    def rows_with_features(
        self, rows: Rows, content: Content | None, device: torch.device | None, advance: Callable[[int], None]
    ) -> tuple[np.ndarray, np.ndarray]:
        """As ``with_features``, of rows."""
        return self.with_features(rows.texts(TEXT), device, advance, pairs_of(rows))

    def with_features(
        self,
        texts: Sequence[str],
        device: torch.device | None = None,
        advance: Callable[[int], None] = lambda done: None,
        pairs: Sequence[str] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities ``[texts, labels]`` and what the final layer takes ``[texts, features]``, float64.

        Raises:
            UserError: The model does not end with a linear layer.
        """
        layer = final_layer(self.model, int(getattr(self.model.config, "num_labels", 0)))
        if layer is None:
            raise UserError(
                f"{type(self.model).__name__} has no linear layer at its end, whose gradient would rank rows.",
                code="model.no-final-layer",
                where="model",
                fix="choose another architecture for rows that are to be picked",
            )
        taken: list[Tensor] = []
        hook = layer.register_forward_pre_hook(lambda module, inputs: taken.append(inputs[0]))

        def both(batch: Batch) -> Tensor:
            taken.clear()
            probabilities = self.probabilities(batch)
            features = taken[-1]
            if features.ndim == 3:  # decoders have outputs for every token, and look at the last
                last = batch["inputs"]["attention_mask"].sum(1) - 1
                features = features[torch.arange(len(features), device=features.device), last]
            return torch.cat([probabilities.float(), features.float()], dim=1)

        try:
            found = np.concatenate(list(self.outputs(texts, both, device, advance, pairs)))
        finally:
            hook.remove()
        return found[:, : len(self.labels)], found[:, len(self.labels) :]
