"""Preferences as batches: two token rows each, with their log-probabilities under the reference model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tunebook.config.schema import Objective
from tunebook.data.batch import Batch
from tunebook.families.text_generation.data.answers import Supervised
from tunebook.families.text_generation.data.packing import PackedItems, one_each, pack_evenly, stack_packs, stack_rows

_SEQUENCE = 256
"""Tokens up to which short token rows share a sequence, as in supervised training."""


@dataclass(frozen=True)
class Preference:
    """One row.

    Attributes:
        rows: Prompt and answer, of a pair the chosen one; and with the rejected answer (DPO), or that to another
            prompt (KTO).
        good: Whether the first answer is good, which that of a pair always is.
        row: Its number.
        reference: Log-probability of both answers under the reference model, ``[2]``; None where not yet known.
    """

    rows: tuple[Supervised, Supervised]
    good: bool
    row: int
    reference: np.ndarray | None = None


@dataclass(frozen=True)
class PreferenceItems(Sequence[Any]):
    """The preferences of a split, sliced from flat arrays on access.

    Attributes:
        ids: Token ids of all token rows one after the other, two for each preference, ``[tokens]``.
        supervised: Which are those of the last answer, bool ``[tokens]``.
        offsets: Where each token row starts, ``[2 * rows + 1]``.
        good: Whether the first answer of each is good, bool ``[rows]``.
        bytes: Bytes of the answer in each token row, ``[2 * rows]``.
        reference: Log-probabilities under the reference model, ``[rows, 2]``; None where not yet known.
    """

    ids: np.ndarray
    supervised: np.ndarray
    offsets: np.ndarray
    good: np.ndarray
    bytes: np.ndarray
    reference: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.good)

    def __getitem__(self, number: Any) -> Any:
        """A ``Preference``."""
        reference = None if self.reference is None else self.reference[number]
        both = self.token_row(2 * number), self.token_row(2 * number + 1)
        return Preference(both, bool(self.good[number]), int(number), reference)

    def token_row(self, number: int) -> Supervised:
        """One token row."""
        span = slice(int(self.offsets[number]), int(self.offsets[number + 1]))
        return Supervised(self.ids[span], self.supervised[span])

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each preference, both token rows together, ``[rows]``."""
        tokens: np.ndarray = np.diff(self.offsets).reshape(-1, 2).sum(axis=1)
        return tokens

    @property
    def token_rows(self) -> PackedItems:
        """All token rows, one to a pack, as a model is scored on them."""
        return PackedItems(self.ids, self.supervised, self.offsets, one_each(2 * len(self)))

    def first_rows(self, which: np.ndarray) -> PackedItems:
        """The first token rows of some preferences, numbered anew, one to a pack."""
        rows = [self.token_row(2 * number) for number in which.tolist()]
        return PackedItems(
            np.concatenate([row.ids for row in rows]),
            np.concatenate([row.supervised for row in rows]),
            np.cumsum([0, *map(len, rows)]),
            one_each(len(rows)),
            np.arange(len(rows)),
            self.bytes[2 * which],
        )


def stack_sequences(rows: Sequence[Supervised], pad_id: int, packed: bool) -> dict[str, Any]:
    """Token rows as a model takes them.

    Args:
        rows: The token rows.
        pad_id: Fills what is shorter.
        packed: Whether several short ones may share a sequence.

    Returns:
        ``inputs``; ``tokens``, the token to follow each position or ``IGNORE_INDEX``, and ``sequence``, the number of
        the token row at each, both ``[batch, tokens]``.
    """
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    capacity = max(int(lengths.max()), min(int(lengths.sum()), _SEQUENCE))
    packs = pack_evenly(lengths, capacity) if packed else one_each(len(rows))
    ids, supervised = (np.concatenate([getattr(row, name) for row in rows]) for name in ("ids", "supervised"))
    items = PackedItems(ids, supervised, np.concatenate([[0], np.cumsum(lengths)]), packs)
    batch = (stack_packs if packed else stack_rows)([items[i] for i in range(len(packs))], pad_id)
    sequence = np.zeros(batch["target"].shape, dtype=np.int64)
    for at, pack in enumerate(packs):
        numbers = np.repeat(pack, lengths[pack])
        sequence[at, : len(numbers)] = numbers
    return {"inputs": batch["inputs"], "tokens": batch["target"], "sequence": torch.from_numpy(sequence)}


def stack_preferences(items: Sequence[Preference], pad_id: int, packed: bool, objective: Objective) -> Batch:
    """A batch: of pairs the chosen and the rejected answers together; of thumbs the mismatched answers apart."""
    first, second = ([item.rows[side] for item in items] for side in (0, 1))
    known = [np.zeros(2) if item.reference is None else item.reference for item in items]
    batch: Batch = {
        "target": torch.tensor([int(item.good) for item in items]),
        "row": torch.tensor([item.row for item in items]),
        "reference": torch.from_numpy(np.stack(known).astype(np.float32)),
    }
    if objective is Objective.dpo:
        return {**batch, **stack_sequences([*first, *second], pad_id, packed)}
    return {**batch, **stack_sequences(first, pad_id, packed), "mismatched": stack_sequences(second, pad_id, packed)}
