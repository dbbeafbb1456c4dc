"""Texts made into training sequences: one stream of tokens, cut into blocks of one length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tunebook import UserError
from tunebook.data.batch import Batch
from tunebook.data.encoded import Encoded
from tunebook.data.module import Examples
from tunebook.models.text import load_tokenizer, longest, tokenizer_key
from tunebook.models.tokens import TokenRows, tokenize_cached

if TYPE_CHECKING:
    from tunebook.config.schema import TrainConfig
    from tunebook.data.load_and_validate import ValidatedData
    from tunebook.data.rows import Rows
    from tunebook.models.source import ModelSource

_UNCUT = 1 << 30  # a text may be longer than a block


@dataclass(frozen=True)
class Blocks(Sequence[Any]):
    """A stream of token ids by block: ``size`` inputs, and the same ids one further on as targets."""

    ids: np.ndarray
    size: int

    def __len__(self) -> int:
        return max(0, (len(self.ids) - 1) // self.size)

    def __getitem__(self, block: Any) -> tuple[np.ndarray, int]:
        start = int(block) * self.size
        return self.ids[start : start + self.size + 1], int(block)


def stack_blocks(items: Sequence[tuple[np.ndarray, int]]) -> Batch:
    """A batch of blocks: inputs and targets ``[batch, tokens]``."""
    ids = torch.from_numpy(np.stack([ids for ids, _ in items]).astype(np.int64))
    return {
        "inputs": {"input_ids": ids[:, :-1], "use_cache": False},
        "target": ids[:, 1:],
        "row": torch.tensor([block for _, block in items]),
    }


def encode_blocks(checked: ValidatedData, source: ModelSource, config: TrainConfig, size: int) -> Encoded:
    """Tokenise all splits once (cached), each as one stream.

    Raises:
        UserError: A split has less text than one block.
    """
    tokenizer = load_tokenizer(source)
    limit = longest(source, tokenizer, None, 1 << 20)
    if not 8 <= size <= limit:
        raise UserError(
            f"recipe.block={size} does not fit: '{source.name}' takes 8 to {limit} tokens.",
            code="config.out-of-range",
            where="recipe.block",
            fix=f"recipe.block={min(max(size, 8), limit)}",
        )
    splits, rows, facts, identity = {}, {}, {}, {}
    for name in ("train", "validation", "test"):
        part: Rows = getattr(checked, name)
        tokens: TokenRows = tokenize_cached(part, tokenizer, _UNCUT, Path(config.data.cache_dir))
        blocks = Blocks(tokens.ids, size)
        if not len(blocks):
            raise UserError(
                f"The {name} texts have {len(tokens.ids)} tokens, less than one block of {size}.",
                code="data.too-few-rows",
                where="recipe.block",
                fix="give more text, or a smaller block",
            )
        splits[name] = Examples(blocks, np.full(len(blocks), size, dtype=np.int64))
        # The row of a block is the one it starts in.
        first = np.searchsorted(tokens.offsets, np.arange(len(blocks)) * size, side="right") - 1
        rows[name] = part.take(first)
        left = len(tokens.ids) - 1 - len(blocks) * size
        facts[f"{name} tokens"] = f"{len(tokens.ids)}, in {len(blocks)} blocks ({left} left over at the end)"
        identity[name] = f"{part.fingerprint}\n{tokenizer_key(tokenizer)}\n{size}"
    return Encoded(splits, rows, stack_blocks, tokenizer, size, facts, identity)
