"""A tuned model ready to answer texts with numbers."""

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
from tunebook.training.head import Head


@dataclass
class TextRegressor:
    """Texts in, numbers out.

    Attributes:
        model: A transformers model whose output is in the user's units.
        tokenizer: The model's own.
        head: Reads the output.
        max_length: Longest text in tokens; longer ones are cut.
        paired: Whether it reads two texts.
        truncated: Texts cut so far, to be told.
        unfinished: None of a model that writes nothing.
    """

    model: nn.Module
    tokenizer: Any
    head: Head
    max_length: int
    paired: bool = False
    truncated: int = 0
    unfinished: int = 0

    @property
    def columns(self) -> list[str]:
        """What `answers` tells of a row."""
        return [TEXT, PAIR, "prediction"] if self.paired else [TEXT, "prediction"]

    def refused(self, rows: Rows) -> dict[int, str]:
        """None: whatever passes the checks of rows has an answer."""
        return {}

    def answers(
        self,
        rows: Rows,
        content: Content | None = None,
        device: torch.device | None = None,
        advance: Callable[[int], None] = lambda done: None,
    ) -> Iterator[dict[str, str | float]]:
        """Answer checked rows in order; never more than a chunk of them is in memory."""
        for start in range(0, len(rows), CHUNK):
            part = rows.table.slice(start, CHUNK)
            texts = part.column(TEXT).to_pylist()
            pairs = part.column(PAIR).to_pylist() if self.paired else None
            asked = zip(texts, strict=True) if pairs is None else zip(texts, pairs, strict=True)
            for said, answer in zip(asked, self.predict(texts, device, advance, pairs), strict=True):
                yield dict(zip(self.columns, [*said, float(answer)], strict=True))

    def predict(
        self,
        texts: Sequence[str],
        device: torch.device | None = None,
        advance: Callable[[int], None] = lambda done: None,
        pairs: Sequence[str] | None = None,
    ) -> np.ndarray:
        """Answer texts, or ``pairs`` of them, in the user's units: float64 ``[texts]``."""
        device = device or torch.device("cpu")
        self.model.eval().to(device)
        parts = [np.zeros(0)]
        for start in range(0, len(texts), CHUNK):
            part = slice(start, start + CHUNK)
            seconds = None if pairs is None else pairs[part]
            tokens = tokenize(texts[part], self.tokenizer, self.max_length, seconds)
            self.truncated += tokens.truncated
            parts.append(answer_tokens(tokens, self.tokenizer.pad_token_id, self._answer, device, advance)[:, 0])
        return np.concatenate(parts)

    def _answer(self, batch: Batch) -> Tensor:
        """``[batch, 1]``."""
        return self.head.decide(self.head.probabilities(self.head.forward(self.model, batch)))[:, None]
