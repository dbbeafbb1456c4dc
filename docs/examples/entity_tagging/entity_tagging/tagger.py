"""Sentences to tokens, and a tuned model that tags them: the one path of test rows and of `predict`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from tunebook.data.batch import IGNORE_INDEX, Batch
from tunebook.data.batches import BatchPlan
from tunebook.data.encoded import Encoded
from tunebook.data.module import Examples
from tunebook.models.text import tokenizer_key
from tunebook.progress import counting
from tunebook.training.devices import choose_accelerator

from .spans import TagHead, spans

if TYPE_CHECKING:
    from tunebook.config.schema import TrainerConfig
    from tunebook.data.content import Content
    from tunebook.data.load_and_validate import ValidatedData
    from tunebook.data.rows import Rows

BATCH = 32  # fixed, as padding moves the last bits of a number


def encode(sentence: str, tokenizer: Any, max_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Token ids, and the place of each word's first piece; -1 of a word that was cut off or has none."""
    words = sentence.split()
    made = tokenizer(" ".join(words), truncation=True, max_length=max_length, return_offsets_mapping=True)
    ends = np.cumsum([len(word) + 1 for word in words]) - 1
    firsts = np.full(len(words), -1)
    for place, (low, high) in enumerate(made["offset_mapping"]):
        word = int(np.searchsorted(ends, low, side="right"))  # the first that ends behind where this piece begins
        if low < high and word < len(words) and ends[word] - len(words[word]) < high and firsts[word] < 0:
            firsts[word] = place
    return np.array(made["input_ids"]), firsts


def encode_splits(data: ValidatedData, tags: Sequence[str], tokenizer: Any, size: int) -> Encoded:
    """All splits as token ids with a target at the first piece of each word, up to ``size`` tokens."""
    splits, rows, facts, identity = {}, {}, {}, {}
    for name in ("train", "validation", "test"):
        part, items, lost = getattr(data, name), [], 0
        for i, (text, true) in enumerate(zip(part.texts("text"), part.texts("tags"), strict=True)):
            ids, firsts = encode(text, tokenizer, size)
            target, read = np.full(len(ids), IGNORE_INDEX), firsts >= 0
            target[firsts[read]] = np.array([tags.index(tag) for tag in true.split()])[read]
            items.append((ids, target, i))
            lost += int((~read).sum())
        words = np.array([(target != IGNORE_INDEX).sum() for _, target, _ in items], dtype=np.int64)
        splits[name] = Examples(items, np.array([len(ids) for ids, _, _ in items], dtype=np.int64), words)
        facts[f"{name} words"] = f"{words.sum() + lost}, {lost} of them not read: over {size} tokens"
        rows[name], identity[name] = part, f"{part.fingerprint}\n{tokenizer_key(tokenizer)}\n{size}\n{tags}"
    return Encoded(splits, rows, partial(pad, pad_id=tokenizer.pad_token_id), tokenizer, size, facts, identity)


def pad(items: Sequence[tuple[np.ndarray, np.ndarray, int]], pad_id: int) -> Batch:
    """A batch of ids, targets and row numbers, padded to its longest sentence."""
    shape = (len(items), max(len(ids) for ids, _, _ in items))
    ids, mask, target = np.full(shape, pad_id), np.zeros(shape, dtype=np.int64), np.full(shape, IGNORE_INDEX)
    for i, (each, tags, _) in enumerate(items):
        ids[i, : len(each)], mask[i, : len(each)], target[i, : len(each)] = each, 1, tags
    return {
        "inputs": {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)},
        "target": torch.from_numpy(target),
        "row": torch.tensor([row for _, _, row in items]),
    }


@dataclass
class Tagger:
    """A finished model: sentences in, tags out; a word that it does not see is no name."""

    model: nn.Module
    tokenizer: Any
    head: TagHead
    max_length: int
    truncated: int = 0
    unfinished: int = 0
    columns: Sequence[str] = ("text", "prediction", "entities")

    def refused(self, rows: Rows) -> Mapping[int, str]:
        """None: every sentence has an answer."""
        return {}

    def answers(
        self, rows: Rows, content: Content | None, device: Any, advance: Callable[[int], None]
    ) -> Iterator[Mapping[str, str | float]]:
        """Tags of each sentence, and the names in it."""
        texts = rows.texts("text")
        for text, tags in zip(texts, self.predict(texts, device, advance), strict=True):
            found = sorted(spans(tags), key=lambda span: span[1])
            names = [f"{kind} {' '.join(text.split()[start:end])}" for kind, start, end in found]
            yield {"text": text, "prediction": " ".join(tags), "entities": "; ".join(names)}

    def tag_rows(self, rows: Rows, trainer: TrainerConfig) -> list[list[str]]:
        """The tags of checked rows, on the device of a run."""
        with counting("test rows", len(rows), trainer.progress) as advance:
            return self.predict(rows.texts("text"), torch.device(choose_accelerator(trainer)), advance)

    def predict(
        self, texts: Sequence[str], device: Any = None, advance: Callable[[int], None] = lambda done: None
    ) -> list[list[str]]:
        """The tags of each sentence."""
        found = self.probabilities(texts, device or torch.device("cpu"), advance)
        return [[self.head.tags[i] for i in self.head.decide(torch.from_numpy(each)).tolist()] for each in found]

    @torch.no_grad()
    def probabilities(
        self, texts: Sequence[str], device: Any, advance: Callable[[int], None] = lambda done: None
    ) -> list[np.ndarray]:
        """Probabilities ``[words, tags]`` of each sentence."""
        self.model.eval().to(device)
        encoded = [encode(text, self.tokenizer, self.max_length) for text in texts]
        self.truncated += sum(bool((firsts < 0).any()) for _, firsts in encoded)
        found = [np.eye(1, self.head.outputs).repeat(len(firsts), axis=0) for _, firsts in encoded]
        lengths = np.array([len(ids) for ids, _ in encoded], dtype=np.int64)
        for order in BatchPlan(lengths, BATCH, shuffle=False).global_batches(0) if texts else ():
            items = [(encoded[i][0], np.array(IGNORE_INDEX), i) for i in map(int, order)]
            batch = pad(items, self.tokenizer.pad_token_id)
            batch["inputs"] = {name: part.to(device) for name, part in batch["inputs"].items()}
            made = self.head.probabilities(self.head.forward(self.model, batch)).double().cpu().numpy()
            for each, (_, _, i) in zip(made, items, strict=True):
                firsts = encoded[i][1]
                found[i][firsts >= 0] = each[firsts[firsts >= 0]]
            advance(len(order))
        return found

    def means(self, texts: Sequence[str]) -> np.ndarray:
        """The mean over its words of each sentence's probabilities, ``[texts, tags]``."""
        return np.array([each.mean(axis=0) for each in self.probabilities(texts, torch.device("cpu"))])
