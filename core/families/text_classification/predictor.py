"""A tuned model ready to label texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunebook.data.batch import Batch
from tunebook.data.columns import PAIR, TEXT
from tunebook.data.content import Content
from tunebook.data.rows import Rows
from tunebook.models.text_answers import CHUNK, answer_tokens
from tunebook.models.tokens import tokenize
from tunebook.recipe import Head


@dataclass
class TextClassifier:
    """Texts in, labels and probabilities out.

    Attributes:
        model: A transformers classifier, or the zero-shot one.
        tokenizer: The model's own.
        head: Makes probabilities and answers of logits.
        labels: Label names by index.
        max_length: Longest text in tokens; longer ones are cut.
        paired: Whether it reads two texts.
    """

    model: nn.Module
    tokenizer: Any
    head: Head
    labels: tuple[str, ...]
    max_length: int
    paired: bool = False
    truncated: int = 0
    unfinished: int = 0
    """Texts cut so far, to be told."""

    @property
    def columns(self) -> list[str]:
        """What `answers` tells of a row."""
        said = [TEXT, PAIR] if self.paired else [TEXT]
        return [*said, "prediction", *(f"probability_{label}" for label in self.labels)]

    def refused(self, rows: Rows) -> dict[int, str]:
        """None: whatever passes the gate has an answer."""
        return {}

    def answers(
        self,
        rows: Rows,
        content: Content | None = None,
        device: torch.device | None = None,
        advance: Callable[[int], None] = lambda done: None,
    ) -> Iterator[dict[str, str | float]]:
        """Label checked rows in order; never more than a chunk of them is in memory."""
        for start in range(0, len(rows), CHUNK):
            part = rows.table.slice(start, CHUNK)
            texts = part.column(TEXT).to_pylist()
            pairs = part.column(PAIR).to_pylist() if self.paired else None
            probabilities, predicted = self.predict(texts, device, advance, pairs)
            asked = zip(texts, strict=True) if pairs is None else zip(texts, pairs, strict=True)
            for said, row, answer in zip(asked, probabilities, predicted, strict=True):
                told = [*said, self.labels[answer], *map(float, row)]
                yield dict(zip(self.columns, told, strict=True))

    def predict(
        self,
        texts: Sequence[str],
        device: torch.device | None = None,
        advance: Callable[[int], None] = lambda done: None,
        pairs: Sequence[str] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Label texts, or ``pairs`` of them: probabilities float64 ``[texts, labels]``, answers int64 ``[texts]``."""
        parts = list(self._chunks(texts, pairs, device or torch.device("cpu"), advance))
        if not parts:
            return np.zeros((0, len(self.labels))), np.zeros(0, dtype=np.int64)
        return np.concatenate([p for p, _ in parts]), np.concatenate([a for _, a in parts])

    def _chunks(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None,
        device: torch.device,
        advance: Callable[[int], None],
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        self.model.eval().to(device)
        for start in range(0, len(texts), CHUNK):
            part = slice(start, start + CHUNK)
            seconds = None if pairs is None else pairs[part]
            tokens = tokenize(texts[part], self.tokenizer, self.max_length, seconds)
            self.truncated += tokens.truncated
            found = answer_tokens(tokens, self.tokenizer.pad_token_id, self._probabilities, device, advance)
            yield found, self.head.decide(torch.from_numpy(found)).numpy()

    def _probabilities(self, batch: Batch) -> Tensor:
        """``[batch, labels]``."""
        return self.head.probabilities(self.head.forward(self.model, batch))
