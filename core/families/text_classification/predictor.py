"""A tuned model ready to label texts: the one code path behind test scores and `predict`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from tunebook.data.batches import BatchPlan
from tunebook.data.content import Content
from tunebook.data.rows import Rows
from tunebook.families.text_classification.batches import TextItems, pad_batch
from tunebook.families.text_classification.tokens import tokenize
from tunebook.recipe import Head

# Texts labelled together. Padding moves the last bits of a float, so that equal rows give equal numbers only
# where they are batched alike: the size is fixed, and no option.
CHUNK, BATCH = 2048, 32


@dataclass
class TextClassifier:
    """Texts in, labels and probabilities out.

    Attributes:
        model: A transformers classifier, or the zero-shot one.
        tokenizer: The model's own.
        head: Makes probabilities and answers of logits.
        labels: Label names by index.
        max_length: Longest text in tokens; longer ones are cut.
    """

    model: nn.Module
    tokenizer: Any
    head: Head
    labels: tuple[str, ...]
    max_length: int
    truncated: int = 0
    unfinished: int = 0
    """Texts cut so far, to be told."""

    @property
    def columns(self) -> list[str]:
        """What `answers` tells of a row."""
        return ["text", "prediction", *(f"probability_{label}" for label in self.labels)]

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
            texts = rows.table.slice(start, CHUNK).column("text").to_pylist()
            probabilities, predicted = self.predict(texts, device, advance)
            for text, believed, answer in zip(texts, probabilities, predicted, strict=True):
                told = [text, self.labels[answer], *map(float, believed)]
                yield dict(zip(self.columns, told, strict=True))

    def predict(
        self,
        texts: Sequence[str],
        device: torch.device | None = None,
        advance: Callable[[int], None] = lambda done: None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Label texts: probabilities float64 ``[texts, labels]`` and answers int64 ``[texts]``."""
        parts = list(self._chunks(texts, device or torch.device("cpu"), advance))
        if not parts:
            return np.zeros((0, len(self.labels))), np.zeros(0, dtype=np.int64)
        return np.concatenate([p for p, _ in parts]), np.concatenate([a for _, a in parts])

    @torch.no_grad()
    def _chunks(
        self, texts: Sequence[str], device: torch.device, advance: Callable[[int], None]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        self.model.eval().to(device)
        for start in range(0, len(texts), CHUNK):
            tokens = tokenize(texts[start : start + CHUNK], self.tokenizer, self.max_length)
            self.truncated += tokens.truncated
            rows = len(tokens)
            items = TextItems(tokens, np.zeros(rows, dtype=np.int64))
            probabilities = np.zeros((rows, len(self.labels)))
            answers = np.zeros(rows, dtype=np.int64)
            for order in BatchPlan(tokens.lengths, BATCH, shuffle=False).global_batches(0):
                batch = pad_batch([items[int(i)] for i in order], self.tokenizer.pad_token_id)
                batch["inputs"] = {k: v.to(device) for k, v in batch["inputs"].items()}
                believed = self.head.probabilities(self.head.forward(self.model, batch)).double()
                probabilities[order] = believed.cpu().numpy()
                answers[order] = self.head.decide(believed).cpu().numpy()
                advance(len(order))
            yield probabilities, answers
