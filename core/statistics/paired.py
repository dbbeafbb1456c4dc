"""Two systems on the same test rows: resampled together, and with their answers swapped at random.

A system is one run or several (seeds, draws); its value is the mean over them. Whatever is drawn or swapped is
drawn or swapped in all its runs at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from tunebook.statistics.draws import row_draws
from tunebook.statistics.outcomes import Outcome
from tunebook.statistics.resampling import CELLS_AT_ONCE

Values = NDArray[np.float64]
ROUNDING = 1e-9
"""Differences that are less apart than this are equal."""


def observed(system: Sequence[Outcome]) -> float:
    """The value on the rows as they are, in the mean over the runs."""
    return float(_mean(system, np.ones((1, system[0].units), dtype=np.int64))[0])


def resampled(systems: Sequence[Sequence[Outcome]], resamples: int, seed: int) -> list[Values]:
    """The values of all systems on the same resamples of the units, `[resamples]` each; none from a single unit."""
    stacks: list[list[Values]] = [[] for _ in systems]
    for counts in row_draws(systems[0][0].units, None, resamples, seed):
        for stack, system in zip(stacks, systems, strict=True):
            stack.append(_mean(system, counts))
    return [np.concatenate(stack) if stack else np.empty(0) for stack in stacks]


def swap_test(one: Sequence[Outcome], other: Sequence[Outcome], value: float, resamples: int, seed: int) -> float:
    """Share of random swaps of units that make a difference at least as large as the observed one (Noreen, 1989).

    The runs of the two systems are laid side by side so that each has its share in the mean; with three runs
    against two, say, that makes four pairs.

    Args:
        one: Runs of one system.
        other: Runs of the other.
        value: The difference of their values.
        resamples: Number of random swaps.
        seed: Seed of the swaps.
    """
    larger = 0
    pairs = pair_runs(len(one), len(other))
    for swaps in random_swaps(one[0].units, resamples, seed):
        found = np.zeros(len(swaps))
        for i, j, weight in pairs:
            found += weight * (one[i].exchanged(other[j], swaps) - other[j].exchanged(one[i], swaps))
        larger += int((np.abs(found) >= abs(value) - ROUNDING).sum())
    return (larger + 1) / (resamples + 1)


def pair_runs(runs: int, others: int) -> list[tuple[int, int, float]]:
    """Lay so many runs of equal weight beside so many others: run, other run, and the weight that they share."""
    pairs, done = [], Fraction(0)
    i = j = 0
    while i < runs and j < others:
        end = min(Fraction(i + 1, runs), Fraction(j + 1, others))
        pairs.append((i, j, float(end - done)))
        i, j = i + (end == Fraction(i + 1, runs)), j + (end == Fraction(j + 1, others))
        done = end
    return pairs


def random_swaps(units: int, resamples: int, seed: int, cells: int = 0) -> Iterator[NDArray[np.int64]]:
    """Toss a coin for each unit, `[chunk, units]`: 1 swaps its answers. The chunks add up to `resamples`.

    A chunk is small enough for `cells` numbers a draw, or one for each unit.
    """
    random = np.random.default_rng([seed, 1])
    step = max(1, CELLS_AT_ONCE // max(units, cells, 1))
    for start in range(0, resamples, step):
        yield random.integers(0, 2, size=(min(step, resamples - start), units))


def _mean(system: Sequence[Outcome], counts: NDArray[np.int64]) -> Values:
    return np.asarray(np.mean([run.scores(counts) for run in system], axis=0))
