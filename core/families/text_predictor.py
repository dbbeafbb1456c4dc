"""A tuned model ready to answer texts, whatever its answers are."""

from __future__ import annotations

from abc import ABC, abstractmethod
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
from tunebook.models.text_answers import BATCH, CHUNK, answer_tokens
from tunebook.models.tokens import tokenize
from tunebook.training.head import Head


@dataclass
class TextPredictor(ABC):
    """Texts in, answers out.

    Attributes:
        model: A transformers model with a final layer for answers.
        tokenizer: The model's own.
        head: Makes answers of the model's outputs.
        max_length: Longest text in tokens; longer ones are cut.
        paired: Whether it reads two texts.
        truncated: Texts truncated so far, to be reported.
        unfinished: None of a model that writes nothing.
        together: Texts that the model answers at once.
    """

    model: nn.Module
    tokenizer: Any
    head: Head
    max_length: int
    paired: bool = False
    truncated: int = 0
    unfinished: int = 0
    together: int = BATCH

    @property
    def columns(self) -> list[str]:
        """Columns of `answers`: what it says, and the prediction."""
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
            shown = zip(texts, strict=True) if pairs is None else zip(texts, pairs, strict=True)
            for inputs, cells in zip(shown, self.cells(texts, device, advance, pairs), strict=True):
                yield dict(zip(self.columns, [*inputs, *cells], strict=True))

    @abstractmethod
    def cells(
        self,
        texts: Sequence[str],
        device: torch.device | None,
        advance: Callable[[int], None],
        pairs: Sequence[str] | None,
    ) -> Iterator[Sequence[str | float]]:
        """The values of `columns` behind what each text says."""

    def outputs(
        self,
        texts: Sequence[str],
        answer: Callable[[Batch], Tensor],
        device: torch.device | None,
        advance: Callable[[int], None],
        pairs: Sequence[str] | None,
    ) -> Iterator[np.ndarray]:
        """What ``answer`` makes of batches of texts, a chunk at a time: float64 ``[texts, outputs]``."""
        device = device or torch.device("cpu")
        self.model.eval().to(device)
        for start in range(0, len(texts), CHUNK):
            part = slice(start, start + CHUNK)
            seconds = None if pairs is None else pairs[part]
            tokens = tokenize(texts[part], self.tokenizer, self.max_length, seconds)
            self.truncated += tokens.truncated
            yield answer_tokens(tokens, self.tokenizer.pad_token_id, answer, device, advance, self.together)

    def probabilities(self, batch: Batch) -> Tensor:
        """What the head makes of the model's outputs for a batch, ``[batch, outputs]``."""
        return self.head.probabilities(self.head.forward(self.model, batch))

    def cut(self) -> tuple[list[str], dict[str, str]]:
        """Notes and facts on texts that were cut, where any were."""
        if not self.truncated:
            return [], {}
        over = f"over {self.max_length} tokens"
        return [f"{self.truncated} texts are {over} and were cut"], {f"texts {over}": f"{self.truncated} (cut)"}
