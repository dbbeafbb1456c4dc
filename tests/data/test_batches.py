"""The order of rows: complete, repeatable, shared fairly, and padded little."""

from __future__ import annotations

import numpy as np
import pytest

from tunebook.data.batches import BatchPlan, ResumableLoader


def lengths(rows: int, seed: int = 0) -> np.ndarray:
    return np.clip(np.random.default_rng(seed).lognormal(3.6, 0.6, rows), 10, 120).astype(np.int64)


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("rows", [1, 5, 31, 32, 33, 64, 65, 1000])
@pytest.mark.parametrize("group_by_length", [True, False])
def test_every_row_is_seen_once_an_epoch_by_one_process(rows, world_size, group_by_length):
    if rows < world_size:
        pytest.skip("fewer rows than processes")
    plans = [
        BatchPlan(lengths(rows), 32, group_by_length=group_by_length, rank=r, world_size=world_size)
        for r in range(world_size)
    ]
    for epoch in range(2):
        shares = [plan.batches(epoch) for plan in plans]
        assert {len(s) for s in shares} == {len(plans[0])}
        assert all(len(rows) for share in shares for rows, _ in share), "a process without rows would wait forever"
        seen = np.concatenate([rows for share in shares for rows, _ in share])
        assert sorted(seen) == list(range(rows))


def test_the_order_depends_on_seed_and_epoch_alone():
    plan = BatchPlan(lengths(500), 32, seed=3)
    again = BatchPlan(lengths(500), 32, seed=3)
    other = BatchPlan(lengths(500), 32, seed=4)
    orders = [np.concatenate(p.global_batches(e)).tolist() for p, e in ((plan, 0), (again, 0), (plan, 1), (other, 0))]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    assert orders[0] != orders[3]


def test_batches_are_made_anew_each_epoch_even_when_all_rows_fit_one_pool():
    plan = BatchPlan(lengths(500), 32)
    first, second = ({frozenset(b.tolist()) for b in plan.global_batches(e)} for e in (0, 1))
    assert len(first & second) < len(first) / 2


@pytest.mark.parametrize(("rows", "least"), [(256, 0.85), (1000, 0.95), (5000, 0.95)])
def test_little_of_a_batch_is_padding(rows, least):
    size = lengths(rows)
    batches = BatchPlan(size, 32).global_batches(0)
    padded = sum(len(b) * size[b].max() for b in batches)
    assert size.sum() / padded > least


def test_the_normalizer_makes_a_step_an_average_over_its_units():
    units = np.arange(1, 11, dtype=np.float64)
    plans = [BatchPlan(np.ones(10), 4, rank=r, world_size=2, accumulate=2, units=units, seed=1) for r in range(2)]
    everyone = plans[0].global_batches(0)
    for plan in plans:
        shares = plan.batches(0)
        # Two steps: batches 0 and 1, then batch 2 alone; Lightning divides by 2, and DDP by 2 again.
        first = units[np.concatenate(everyone[:2])].sum() / 4
        assert [n for _, n in shares] == [pytest.approx(first)] * 2 + [pytest.approx(units[everyone[2]].sum() / 4)]


class Rows:
    """Rows that are their own numbers."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, row: int) -> int:
        return row


def collate(items):
    return {"row": list(items)}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_goes_on_where_its_state_was_taken(workers):
    plan = BatchPlan(lengths(100), 8, seed=5)
    whole = ResumableLoader(Rows(100), plan, collate, workers)
    whole.set_epoch(1)
    everything = [batch["row"] for batch in whole]
    first = ResumableLoader(Rows(100), plan, collate, workers)
    first.set_epoch(1)
    iterator = iter(first)
    head = [next(iterator)["row"] for _ in range(5)]
    state = first.state_dict()
    iterator.close()
    second = ResumableLoader(Rows(100), plan, collate, workers)
    second.load_state_dict(state)
    second.set_epoch(1)
    assert head + [batch["row"] for batch in second] == everything
    second.set_epoch(2)
    assert len(list(second)) == len(plan), "the next epoch starts at its first batch"


def test_another_number_of_processes_is_refused():
    state = ResumableLoader(Rows(9), BatchPlan(np.ones(9), 3), collate).state_dict()
    with pytest.raises(ValueError, match="1 processes, resumed with 2"):
        ResumableLoader(Rows(9), BatchPlan(np.ones(9), 3, world_size=2), collate).load_state_dict(state)
