"""Packs: complete, small in number, and each conversation's own targets, positions and units."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunebook.data.batch import IGNORE_INDEX
from tunebook.data.batches import BatchPlan
from tunebook.families.text_generation.data.packing import (
    PackedItems,
    one_each,
    pack,
    pack_evenly,
    stack_packs,
    stack_rows,
)


def random_lengths(rows: int, longest: int, seed: int) -> np.ndarray:
    return np.clip(np.random.default_rng(seed).lognormal(3.5, 0.8, rows), 1, longest).astype(np.int64)


def conversations(lengths: list[int], packs: list[np.ndarray] | None = None, seed: int = 0) -> PackedItems:
    draw = np.random.default_rng(seed)
    tokens = sum(lengths)
    ids = draw.integers(5, 100, tokens).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return PackedItems(ids, draw.random(tokens) < 0.4, offsets, one_each(len(lengths)) if packs is None else packs)


@pytest.mark.parametrize("seed", range(20))
def test_each_row_is_in_one_pack_and_no_pack_is_over(seed: int):
    draw = np.random.default_rng(seed)
    capacity = int(draw.integers(40, 400))
    lengths = random_lengths(int(draw.integers(1, 400)), capacity, seed)
    packs = pack(lengths, capacity)
    assert sorted(np.concatenate(packs)) == list(range(len(lengths)))
    assert max(lengths[rows].sum() for rows in packs) <= capacity
    assert all(rows.tolist() == sorted(rows) for rows in packs)
    # No two packs could be one, but for at most one that is under half full.
    assert sum(lengths[rows].sum() * 2 <= capacity for rows in packs) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_packs_are_those_of_trying_every_pack_in_turn(seed: int):
    """Best-fit decreasing, spelled out in quadratic time."""
    lengths, capacity = random_lengths(200, 128, seed), 128
    rooms: list[int] = []
    for length in sorted(lengths.tolist(), reverse=True):
        fitting = [i for i, room in enumerate(rooms) if room >= length]
        if not fitting:
            rooms.append(capacity)
            fitting = [len(rooms) - 1]
        rooms[min(fitting, key=lambda i: rooms[i])] -= length
    assert sorted(capacity - lengths[rows].sum() for rows in pack(lengths, capacity)) == sorted(rooms)


def test_packs_are_repeated_exactly_and_made_of_any_integers():
    lengths = random_lengths(500, 128, 1)
    first, again, unsigned = (pack(kind, 128) for kind in (lengths, lengths.copy(), lengths.astype(np.uint32)))
    assert [p.tolist() for p in first] == [p.tolist() for p in again] == [p.tolist() for p in unsigned]


def test_edges():
    assert pack(np.array([], dtype=np.int64), 8) == []
    assert [p.tolist() for p in pack(np.array([8, 8]), 8)] == [[0], [1]]
    assert sorted(p.tolist() for p in pack(np.array([2, 5, 3, 6]), 8)) == [[0, 3], [1, 2]]
    with pytest.raises(ValueError, match="a row of 9 tokens does not fit into a pack of 8"):
        pack(np.array([3, 9]), 8)


def test_many_rows_are_packed_nearly_without_waste():
    lengths = random_lengths(50_000, 1024, 0)
    packs = pack(lengths, 1024)
    assert lengths.sum() / (1024 * len(packs)) > 0.999


def test_a_pack_holds_its_conversations_one_after_the_other():
    items = conversations([3, 2, 4], [np.array([0, 2]), np.array([1])])
    both = items[0]
    assert both.ids.tolist() == [*items.ids[:3], *items.ids[5:]]
    assert both.supervised.tolist() == [*items.supervised[:3], *items.supervised[5:]]
    assert both.position_ids.tolist() == [0, 1, 2, 0, 1, 2, 3]
    assert (both.row, items[1].row, len(items)) == (0, 1, 2)
    assert items.lengths.tolist() == [7, 2]


@pytest.mark.parametrize("seed", range(10))
def test_targets_are_the_next_tokens_of_the_same_conversation(seed: int):
    draw = np.random.default_rng(seed)
    lengths = draw.integers(1, 12, 17).tolist()
    items = conversations(lengths, pack(np.array(lengths), 24), seed)
    batch = stack_packs([items[i] for i in range(len(items))], pad_id=0)
    assert {k: tuple(v.shape) for k, v in batch["inputs"].items() if k != "use_cache"} == {
        "input_ids": tuple(batch["target"].shape),
        "position_ids": tuple(batch["target"].shape),
    }
    expected = []  # by conversation, straight from the flat arrays
    for number, rows in enumerate(items.packs):
        at = 0
        for row in rows:
            start, end = items.offsets[row], items.offsets[row + 1]
            expected += [
                (number, at + i, int(items.ids[start + i + 1]))
                for i in range(end - start - 1)
                if items.supervised[start + i + 1]
            ]
            at += end - start
    found = [(int(b), int(t), int(batch["target"][b, t])) for b, t in (batch["target"] != IGNORE_INDEX).nonzero()]
    assert found == expected
    assert items.units.tolist() == [sum(b == n for b, _, _ in expected) for n in range(len(items))]
    assert batch["row"].tolist() == [rows[0] for rows in items.packs]


def test_padding_starts_anew_and_is_never_learnt():
    items = conversations([3, 2, 6], [np.array([0, 1]), np.array([2])])
    batch = stack_packs([items[0], items[1]], pad_id=7)
    assert batch["inputs"]["input_ids"][0, 5:].tolist() == [7]
    assert batch["inputs"]["position_ids"].tolist() == [[0, 1, 2, 0, 1, 0], [0, 1, 2, 3, 4, 5]]
    assert batch["target"][0, 4:].tolist() == [IGNORE_INDEX, IGNORE_INDEX]
    assert batch["inputs"]["use_cache"] is False


def test_single_conversations_have_a_mask_instead_of_positions():
    items = conversations([3, 5])
    batch = stack_rows([items[0], items[1]], pad_id=0)
    assert batch["inputs"]["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert "position_ids" not in batch["inputs"]
    assert torch.equal(batch["target"], stack_packs([items[0], items[1]], pad_id=0)["target"])


def test_a_conversation_of_one_token_and_an_empty_row_count_nothing():
    items = PackedItems(np.array([5, 6, 7]), np.ones(3, dtype=bool), np.array([0, 1, 1, 3]), one_each(3))
    assert items.units.tolist() == [0, 0, 1]
    assert stack_rows([items[0]], 0)["target"].tolist() == [[IGNORE_INDEX]]


@pytest.mark.parametrize("world_size", [1, 2])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_an_optimizer_step_is_the_mean_over_the_tokens_learnt_in_it(world_size: int, accumulate: int):
    lengths = random_lengths(60, 64, 4)
    items = conversations(lengths.tolist(), pack(lengths, 64), 4)
    token_loss = np.random.default_rng(0).random(len(items.ids))

    def total(pack_number: int) -> float:
        rows = items.packs[pack_number]
        spans = [range(items.offsets[row] + 1, items.offsets[row + 1]) for row in rows]
        return float(sum(token_loss[i] for span in spans for i in span if items.supervised[i]))

    options = {"world_size": world_size, "accumulate": accumulate, "units": items.units}
    plans = [BatchPlan(items.lengths, 4, rank=rank, **options) for rank in range(world_size)]
    shares = [plan.batches(0) for plan in plans]
    for first in range(0, len(plans[0]), accumulate):
        step = [batch for share in shares for batch in share[first : first + accumulate]]
        # Lightning divides the sum over batches by `accumulate`, and averages over processes.
        ours = sum(sum(map(total, rows)) / normalizer for rows, normalizer in step) / (accumulate * world_size)
        packs = np.concatenate([rows for rows, _ in step])
        assert ours == pytest.approx(sum(map(total, packs)) / items.units[packs].sum())


@given(st.integers(1, 300).flatmap(lambda c: st.tuples(st.just(c), st.lists(st.integers(1, c), max_size=60))))
def test_any_lengths_are_packed_whole_and_tightly(
    made: tuple[int, list[int]],
) -> None:
    capacity, lengths = made
    array = np.array(lengths, dtype=np.int64)
    packs, even = pack(array, capacity), pack_evenly(array, capacity)
    for found in (packs, even):
        assert sorted(row for rows in found for row in rows.tolist()) == list(range(len(lengths)))
        assert all(array[rows].sum() <= capacity for rows in found)
    assert len(even) == len(packs)
    # No plan takes fewer packs than all tokens need; best-fit decreasing takes at most 11/9 of the fewest and 4 more.
    fewest = max(-(-sum(lengths) // capacity), sum(length * 2 > capacity for length in lengths))
    assert fewest <= len(packs)
    assert len(packs) <= len(lengths)
    if sum(length * 3 > capacity for length in lengths) == len(lengths):  # at most two in a pack: the optimum is known
        assert len(packs) == fewest_pairs(sorted(lengths), capacity)


def fewest_pairs(lengths: list[int], capacity: int) -> int:
    """The fewest packs of at most two: the longest with the shortest, or alone."""
    packs, low, high = 0, 0, len(lengths) - 1
    while low <= high:
        low += low < high and lengths[low] + lengths[high] <= capacity
        high -= 1
        packs += 1
    return packs
