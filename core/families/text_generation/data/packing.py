"""Conversations as batches for a language model: several to a sequence without seeing each other, or one each."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tunebook.data.batch import IGNORE_INDEX, Batch


def pack(lengths: np.ndarray, capacity: int) -> list[np.ndarray]:
    """Share rows out to as few packs as best-fit decreasing finds: the longest first, each where it leaves least room.

    Best-fit decreasing needs at most 11/9 of the fewest packs possible, and a few more (Johnson 1973).

    Args:
        lengths: Tokens of each row, ``[rows]``.
        capacity: Most tokens in a pack.

    Returns:
        The rows of each pack, ascending; every row is in exactly one. The same lengths give the same packs.

    Raises:
        ValueError: A row is longer than a pack.
    """
    longest = int(lengths.max(initial=0))
    if longest > capacity:
        raise ValueError(f"a row of {longest} tokens does not fit into a pack of {capacity}")
    packs: list[list[int]] = []
    by_room: dict[int, list[int]] = {}  # the packs that have so much room left
    rooms: list[int] = []  # the keys of `by_room`, ascending
    order = np.argsort(-lengths.astype(np.int64), kind="stable")
    for row, length in zip(order.tolist(), lengths[order].tolist(), strict=True):
        at = bisect_left(rooms, length)
        if at == len(rooms):
            number, room = len(packs), capacity
            packs.append([])
        else:
            room = rooms[at]
            number = by_room[room].pop()
            if not by_room[room]:
                del by_room[room], rooms[at]
        packs[number].append(row)
        left = room - length
        if left not in by_room:
            by_room[left] = []
            insort(rooms, left)
        by_room[left].append(number)
    return [np.sort(np.array(rows, dtype=np.int64)) for rows in packs]


def pack_evenly(lengths: np.ndarray, capacity: int) -> list[np.ndarray]:
    """As few packs as ``pack`` finds, none longer than it has to be, so that next to each other they need no padding.

    Few rows would else leave the last pack half empty, and it is padded to the length of the others.

    Args:
        lengths: Tokens of each row, ``[rows]``.
        capacity: Most tokens in a pack.
    """
    packs = pack(lengths, capacity)
    low, high = -(-int(lengths.sum()) // max(1, len(packs))), capacity
    low = max(low, int(lengths.max(initial=0)))
    while low < high:
        middle = (low + high) // 2
        tried = pack(lengths, middle)
        if len(tried) <= len(packs):
            packs, high = tried, middle
        else:
            low = middle + 1
    return packs


def one_each(rows: int) -> list[np.ndarray]:
    """Every row in a pack of its own, for models that cannot keep packed conversations apart."""
    return list(np.arange(rows, dtype=np.int64)[:, None])


@dataclass(frozen=True)
class Pack:
    """Some conversations, one after the other.

    Attributes:
        ids: Token ids, ``[tokens]``.
        supervised: Whether each token is one that the model learns to write, bool ``[tokens]``.
        position_ids: Position of each token in its own conversation, from zero, ``[tokens]``.
        row: The first conversation, for messages.
    """

    ids: np.ndarray
    supervised: np.ndarray
    position_ids: np.ndarray
    row: int


@dataclass(frozen=True)
class PackedItems(Sequence[Any]):
    """Conversations by pack, sliced from flat arrays on access.

    Attributes:
        ids: Token ids of all rows one after the other, ``[tokens]``.
        supervised: Whether each token is one that the model learns to write, bool ``[tokens]``.
        offsets: Where each row starts, ``[rows + 1]``.
        packs: The rows of each pack.
        sources: The conversation that each row is of, where long ones make several, ``[rows]``; None: one a row.
        bytes: Bytes of the answers that each row is supervised on, ``[rows]``; None where they were not counted.
    """

    ids: np.ndarray
    supervised: np.ndarray
    offsets: np.ndarray
    packs: Sequence[np.ndarray]
    sources: np.ndarray | None = None
    bytes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.packs)

    def __getitem__(self, number: Any) -> Any:
        """A ``Pack``."""
        rows = self.packs[number]
        spans = [slice(int(self.offsets[row]), int(self.offsets[row + 1])) for row in rows]
        return Pack(
            np.concatenate([self.ids[span] for span in spans]),
            np.concatenate([self.supervised[span] for span in spans]),
            np.concatenate([np.arange(span.stop - span.start) for span in spans]),
            int(rows[0] if self.sources is None else self.sources[rows[0]]),
        )

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each pack, ``[packs]``."""
        return self._by_pack(np.diff(self.offsets))

    @property
    def units(self) -> np.ndarray:
        """Tokens learned of each pack, ``[packs]``: what the loss is averaged over.

        A conversation's first token has none before it that could predict it, and never counts.
        """
        before = np.concatenate([[0], np.cumsum(self.supervised, dtype=np.int64)])
        firsts = np.minimum(self.offsets[:-1] + 1, self.offsets[1:])  # an empty row has no first token
        return self._by_pack(before[self.offsets[1:]] - before[firsts])

    def _by_pack(self, values: np.ndarray) -> np.ndarray:
        return np.array([values[rows].sum() for rows in self.packs], dtype=np.int64)


def stack_packs(items: Sequence[Pack], pad_id: int) -> Batch:
    """A batch of packs, padded on the right.

    transformers keeps conversations apart by the positions that restart, if it gets no attention mask and fills
    no cache; the padding of a pack restarts too, as one more conversation, which is ignored.
    """
    positions = [np.concatenate([p.position_ids, np.arange(_width(items) - len(p.ids))]) for p in items]
    batch = _stack(items, pad_id)
    batch["inputs"]["position_ids"] = torch.from_numpy(np.stack(positions))
    return batch


def stack_rows(items: Sequence[Pack], pad_id: int) -> Batch:
    """A batch of single conversations, padded on the right, with an attention mask and no positions."""
    present = np.stack([np.arange(_width(items)) < len(p.ids) for p in items])
    batch = _stack(items, pad_id)
    batch["inputs"]["attention_mask"] = torch.from_numpy(present.astype(np.int64))
    return batch


def _width(items: Sequence[Pack]) -> int:
    return max(len(p.ids) for p in items)


def _stack(items: Sequence[Pack], pad_id: int) -> Batch:
    """Ids and targets ``[batch, tokens]``; the target of a position is the next token of the same conversation."""
    shape = len(items), _width(items)
    ids = np.full(shape, pad_id, dtype=np.int64)
    target = np.full(shape, IGNORE_INDEX, dtype=np.int64)
    for i, item in enumerate(items):
        tokens = len(item.ids)
        ids[i, :tokens] = item.ids
        follows = item.supervised[1:] & (item.position_ids[1:] > 0)
        target[i, : tokens - 1] = np.where(follows, item.ids[1:], IGNORE_INDEX)
    return {
        "inputs": {"input_ids": torch.from_numpy(ids), "use_cache": False},
        "target": torch.from_numpy(target),
        "row": torch.tensor([item.row for item in items]),
    }
