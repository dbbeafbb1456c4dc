from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from tunebook.statistics.outcomes import SumsOutcome
from tunebook.statistics.paired import observed, pair_runs, resampled, swap_test


def mean_of(values: Any) -> SumsOutcome:
    """A run whose metric is the mean of its rows."""
    return SumsOutcome(np.asarray(values, dtype=float)[:, None], lambda sums: sums[..., 0] / len(values))


def test_runs_are_laid_side_by_side_so_that_each_has_its_share() -> None:
    assert pair_runs(2, 2) == [(0, 0, 0.5), (1, 1, 0.5)]
    assert pair_runs(1, 3) == [(0, j, pytest.approx(1 / 3)) for j in range(3)]
    for runs, others in ((3, 5), (4, 6), (5, 1)):
        pairs = pair_runs(runs, others)
        for side, count in ((0, runs), (1, others)):
            shares = [sum(pair[2] for pair in pairs if pair[side] == i) for i in range(count)]
            assert shares == pytest.approx([1 / count] * count)


def test_the_swap_test_is_the_exact_sign_test() -> None:
    one = mean_of([1] * 12 + [0] * 3 + [1] * 20)
    other = mean_of([0] * 12 + [1] * 3 + [1] * 20)
    p_value = swap_test([one], [other], 9 / 35, 8000, 0)
    assert p_value == pytest.approx(binomtest(12, 15).pvalue, abs=0.01)


def test_all_runs_of_a_row_are_swapped_at_once() -> None:
    """Three equal runs a side are no more evidence than one; swapped apart they would seem so."""
    one, other = mean_of([1] * 9 + [0] * 3), mean_of([0] * 9 + [1] * 3)
    alone = swap_test([one], [other], 0.5, 4000, 0)
    assert swap_test([one] * 3, [other] * 2, 0.5, 4000, 0) == pytest.approx(alone, abs=0.02)
    assert alone == pytest.approx(binomtest(9, 12).pvalue, abs=0.02)


def test_systems_are_resampled_together() -> None:
    one = mean_of(np.arange(50.0))
    mine, theirs = resampled([[one], [mean_of(np.arange(50.0) + 2)]], 100, 0)
    assert theirs - mine == pytest.approx(2.0) and mine.std() == pytest.approx(2.04, rel=0.2)
    assert observed([one, mean_of(np.arange(50.0) + 2)]) == pytest.approx(25.5)
    assert len(resampled([[mean_of([1.0])]], 100, 0)[0]) == 0
