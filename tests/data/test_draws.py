"""Draws that follow from seed, epoch and row, against SplitMix64 in plain Python."""

from __future__ import annotations

import numpy as np
import torch
from scipy import stats

from tunebook.data.draws import Draws, draws, named_seed


def _splitmix(*counters: int) -> float:
    """SplitMix64 by the paper, nested, in Python's own integers."""
    state = 0
    for counter in counters:
        state = (state + (counter + 1) * 0x9E3779B97F4A7C15) % 2**64
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ state >> 27) * 0x94D049BB133111EB % 2**64
        state ^= state >> 31
    return (state >> 11) / 2**53


def test_draws_are_a_hash_of_what_they_depend_on() -> None:
    rows = np.array([0, 12345678901, 3])
    expected = [[_splitmix(42, 9, int(row), column) for column in range(5)] for row in rows]
    assert draws(42, 9, rows, 5).tolist() == expected
    assert draws(42, 9, rows[1:2], 2).tolist() == [expected[1][:2]]


def test_draws_are_uniform_and_independent() -> None:
    rows, count = np.arange(20_000), 4
    drawn = [draws(seed, epoch, rows, count) for seed, epoch in [(0, 0), (0, 1), (1, 0)]]
    together = np.concatenate(drawn, axis=1)
    assert together.min() >= 0
    assert together.max() < 1
    for column in together.T:
        observed = np.histogram(column, bins=100, range=(0, 1))[0]
        assert ((observed - 200) ** 2 / 200).sum() < 173  # chi-square, 99 degrees of freedom: one in 100,000
    correlation = np.corrcoef(np.concatenate([together[:-1], together[1:]], axis=1), rowvar=False)
    assert np.abs(correlation - np.eye(len(correlation))).max() < 5 / np.sqrt(len(rows))


def test_a_rows_numbers_are_the_same_in_any_batch_and_new_at_each_call() -> None:
    rows = np.array([40, 7, 3, 1000])
    whole, part = Draws(5, 2, rows), Draws(5, 2, rows[[3, 0]])
    first, second = whole.uniform(3), whole.uniform(5)
    assert torch.equal(part.uniform(3), first[[3, 0]])
    assert torch.equal(part.uniform(4), second[[3, 0], :4])
    assert not torch.equal(first, second[:, :3])
    for other in (Draws(6, 2, rows), Draws(5, 3, rows)):
        assert not torch.equal(other.uniform(3), first)


def test_uniform_numbers_are_those_of_the_counters_and_under_one() -> None:
    rows = np.arange(1000)
    expected = draws(named_seed(5, "call 0"), 1, rows, 4)
    drawn = Draws(5, 1, rows).uniform(4)
    assert drawn.dtype is torch.float32
    assert np.allclose(drawn.numpy(), expected, atol=1e-7)
    assert drawn.max() < 1


def test_normal_numbers_are_normal() -> None:
    drawn = Draws(0, 0, np.arange(5000)).normal(4).flatten().numpy()
    assert stats.kstest(drawn, "norm").pvalue > 1e-4
    assert np.isfinite(drawn).all()
