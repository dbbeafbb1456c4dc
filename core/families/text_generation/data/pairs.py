"""Pairs of what is read and what is written, as token ids: the rows of a model with an encoder and a decoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tunebook.data.batch import IGNORE_INDEX, Batch
from tunebook.models.literal import encode_texts


@dataclass(frozen=True)
class Pair:
    """One row.

    Attributes:
        source: Token ids that the encoder reads, ``[source tokens]``.
        target: Token ids to be written, the one that ends the text included, ``[target tokens]``.
        row: Its number, for messages.
    """

    source: np.ndarray
    target: np.ndarray
    row: int


@dataclass(frozen=True)
class PairItems(Sequence[Any]):
    """Pairs, sliced from flat arrays on access.

    Attributes:
        source_ids: Sources one after the other, int32 ``[source tokens]``.
        source_offsets: Where each starts, int64 ``[rows + 1]``.
        target_ids: Targets one after the other, int32 ``[target tokens]``.
        target_offsets: Where each starts, int64 ``[rows + 1]``.
        sources: The prompt that each row is of, where some are left out, int64 ``[rows]``.
        bytes: Bytes of what is written of each row, int64 ``[rows]``; None where they were not counted.
    """

    source_ids: np.ndarray
    source_offsets: np.ndarray
    target_ids: np.ndarray
    target_offsets: np.ndarray
    sources: np.ndarray
    bytes: np.ndarray | None = None

    @classmethod
    def of(cls, pairs: Sequence[Pair]) -> PairItems:
        """Pairs one after the other."""
        flat = [_flat([pair.source for pair in pairs]), _flat([pair.target for pair in pairs])]
        return cls(*flat[0], *flat[1], np.array([pair.row for pair in pairs], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, number: Any) -> Any:
        """A ``Pair``."""
        source = self.source_ids[self.source_offsets[number] : self.source_offsets[number + 1]]
        target = self.target_ids[self.target_offsets[number] : self.target_offsets[number + 1]]
        return Pair(source, target, int(self.sources[number]))

    @property
    def lengths(self) -> np.ndarray:
        """Cost of each row: tokens read and tokens written, ``[rows]``."""
        lengths: np.ndarray = np.diff(self.source_offsets) + np.diff(self.target_offsets)
        return lengths

    @property
    def units(self) -> np.ndarray:
        """Tokens learned of each row, ``[rows]``: what the loss is averaged over."""
        units: np.ndarray = np.diff(self.target_offsets)
        return units


def _flat(rows: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Ids of all rows, and where each starts."""
    ids = np.concatenate([np.zeros(0, dtype=np.int32), *rows]).astype(np.int32)
    return ids, np.cumsum([0, *map(len, rows)], dtype=np.int64)


def encode_pairs(
    prompts: Sequence[str], copies: Sequence[str], tokenizer: Any, max_source: int, max_target: int
) -> tuple[PairItems, dict[int, str]]:
    """Encode prompts and what is to be written for them; nothing is cut.

    What begins a text, such as mBART's language, is the tokenizer's own; each target ends with the token that ends a
    text, once, whether the tokenizer adds it or not.

    Args:
        prompts: What is read, one a row.
        copies: What is written, one a row.
        tokenizer: The model's, a fast one.
        max_source: Most tokens of a prompt, special ones included.
        max_target: Most tokens of a copy, the one that ends it included.

    Returns:
        The rows that can be learned from, and why the others cannot, by row.
    """
    if not prompts:
        return PairItems.of([]), {}
    read = encode_texts(tokenizer, prompts, truncation=False)["input_ids"]
    written = encode_texts(tokenizer, copies, target=True, truncation=False)["input_ids"]
    encoded: list[Pair] = []
    rejected: dict[int, str] = {}
    for row, (source, target) in enumerate(zip(read, written, strict=True)):
        body, ends = _ended(target, tokenizer)
        reason = _reason(len(source), len(body), ends, tokenizer, max_source, max_target)
        if reason:
            rejected[row] = reason
        else:
            encoded.append(Pair(np.array(source, dtype=np.int32), np.array(body, dtype=np.int32), row))
    return PairItems.of(encoded), rejected


def _ended(target: Sequence[int], tokenizer: Any) -> tuple[list[int], int]:
    """A target up to the token that ends it, and how many such tokens were in it.

    BART's tokenizer begins with one kind and ends with another; mBART's old one puts the language behind the end, from
    where it is moved to the front by the decoder's start token.
    """
    end = tokenizer.eos_token_id
    ends = [place for place, token in enumerate(target) if token == end and place > 0]
    if not ends:
        return [*target, end], 0
    return list(target[: ends[-1] + 1]), len(ends)


def _reason(source: int, target: int, ends: int, tokenizer: Any, max_source: int, max_target: int) -> str:
    """Why a row cannot be learned from; empty if it can."""
    if ends > 1:
        return f"the copy has the end-of-text token {tokenizer.eos_token} in its middle"
    if source > max_source:
        return f"the prompt has {source:,} tokens, over {max_source:,}"
    if target > max_target:
        return f"the copy has {target:,} tokens with the one that ends it, over {max_target:,}"
    return ""


def stack_pairs(items: Sequence[Pair], pad_id: int, decoder_start_id: int) -> Batch:
    """A batch of pairs, padded on the right.

    The decoder reads each target shifted by one, behind its start token. It needs no mask: nothing that is learned lies
    behind padding.

    Args:
        items: The pairs.
        pad_id: Fills up what is read.
        decoder_start_id: The model's own start token.
    """
    sources, targets = [item.source for item in items], [item.target for item in items]
    shifted = [np.concatenate([[decoder_start_id], target[:-1]]) for target in targets]
    inputs = {
        "input_ids": _padded(sources, pad_id),
        "attention_mask": _padded([np.ones(len(source)) for source in sources], 0),
        "decoder_input_ids": _padded(shifted, pad_id),
        "use_cache": False,
    }
    return {
        "inputs": inputs,
        "target": _padded(targets, IGNORE_INDEX),
        "row": torch.tensor([item.row for item in items]),
    }


def _padded(rows: Sequence[np.ndarray], filling: int) -> torch.Tensor:
    """Rows side by side, int64 ``[rows, tokens]``."""
    made = np.full((len(rows), max(map(len, rows))), filling, dtype=np.int64)
    for place, row in enumerate(rows):
        made[place, : len(row)] = row
    return torch.from_numpy(made)
