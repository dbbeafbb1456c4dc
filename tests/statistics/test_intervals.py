from __future__ import annotations

import numpy as np
import pytest

from tunebook.statistics import confusion
from tunebook.statistics.intervals import (
    bootstrap_rows,
    bootstrap_units,
    percentile,
    rows_of_groups,
    wilson,
)
from tunebook.statistics.resampling import CELLS_AT_ONCE, units_of_confusion, units_of_rows


@pytest.mark.parametrize(
    "successes,n,low,high",
    [
        # Newcombe (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_is_symmetric_and_undefined_without_rows() -> None:
    low, high = wilson(3, 10, 0.9)
    assert wilson(7, 10, 0.9) == pytest.approx((1 - high, 1 - low))
    assert np.isnan(wilson(0, 0)).all()


def test_wilson_covers_the_true_share() -> None:
    hits = np.random.default_rng(0).binomial(40, 0.85, size=400)
    covered = sum(low <= 0.85 <= high for low, high in (wilson(int(k), 40) for k in hits))
    assert 366 <= covered <= 394  # 380 expected, within 3 binomial deviations


def test_the_confusion_bootstrap_covers_the_true_macro_f1() -> None:
    random = np.random.default_rng(1)
    cells = np.array([[0.42, 0.08], [0.1, 0.4]])
    truth = float(confusion.macro_f1(cells))
    covered = 0
    for seed in range(200):
        drawn = random.multinomial(150, cells.ravel()).reshape(2, 2)
        low, high = bootstrap_units(units_of_confusion(drawn), confusion.macro_f1, resamples=300, seed=seed)
        covered += low <= truth <= high
    assert 179 <= covered <= 199  # 190 expected, within 3.5 binomial deviations


def test_the_confusion_bootstrap_agrees_with_resampling_rows() -> None:
    random = np.random.default_rng(2)
    target, predicted = random.integers(0, 3, 120), random.integers(0, 3, 120)
    predicted[:80] = target[:80]
    matrix = np.zeros((3, 3), dtype=np.int64)
    np.add.at(matrix, (target, predicted), 1)

    def by_rows(rows: np.ndarray) -> float:
        resampled = np.zeros((3, 3))
        np.add.at(resampled, (target[rows], predicted[rows]), 1)
        return float(confusion.macro_f1(resampled))

    fast = bootstrap_units(units_of_confusion(matrix), confusion.macro_f1, 3000, seed=3)
    slow = bootstrap_rows(by_rows, 120, 3000, seed=4)
    assert fast == pytest.approx(slow, abs=0.01)


def test_an_interval_depends_on_nothing_but_the_seed() -> None:
    matrix = np.array([[30, 5], [4, 20]])
    first = bootstrap_units(units_of_confusion(matrix), confusion.macro_f1, 500, seed=7)
    assert first == bootstrap_units(units_of_confusion(matrix), confusion.macro_f1, 500, seed=7)
    assert first != bootstrap_units(units_of_confusion(matrix), confusion.macro_f1, 500, seed=8)


def test_a_perfect_score_is_not_certain() -> None:
    low, high = bootstrap_units(units_of_confusion(np.diag([10, 10])), confusion.macro_f1)
    assert high == 1.0
    assert low == pytest.approx(wilson(20, 20)[0], abs=1e-9)  # two equal labels: F1 is the share right
    low, high = bootstrap_units(units_of_confusion(np.diag([10, 0, 10])), confusion.mean_absolute_error)
    assert (low, high) == (0.0, pytest.approx(2 * (1 - wilson(20, 20)[0])))


def test_groups_that_agree_within_widen_the_interval() -> None:
    random = np.random.default_rng(5)
    groups = np.repeat(np.arange(20), 10)
    target = random.integers(0, 2, 200)
    predicted = np.where(np.repeat(random.random(20) < 0.7, 10), target, 1 - target)
    alone = bootstrap_units(units_of_rows(2, target, [predicted]), confusion.accuracy)
    together = bootstrap_units(units_of_rows(2, target, [predicted], groups), confusion.accuracy)
    widths = [high - low for low, high in (alone, together)]
    assert 2.3 < widths[1] / widths[0] < 4.2  # sqrt(10) where the rows of a group are all alike
    by_rows = bootstrap_rows(lambda rows: float((target == predicted)[rows].mean()), 200, groups=groups)
    assert by_rows == pytest.approx(together, abs=0.03)


def test_one_group_has_no_interval() -> None:
    one = np.zeros(4, dtype=np.int64)
    units = units_of_rows(2, np.array([0, 1, 0, 1]), [np.array([0, 1, 1, 1])], one)
    assert np.isnan(bootstrap_units(units, confusion.accuracy)).all()
    assert np.isnan(bootstrap_rows(lambda rows: 1.0, 4, groups=one)).all()


def test_undefined_resamples_are_left_out_unless_most_are() -> None:
    values = np.array([1.0, 2.0, 3.0, np.nan])
    assert percentile(values, 0.5) == pytest.approx((1.5, 2.5))
    assert np.isnan(percentile(np.array([1.0, np.nan, np.nan]))).all()


def test_resamples_stay_within_bounded_memory_and_keep_every_row() -> None:
    random = np.random.default_rng(6)
    target, predicted = random.integers(0, 60, (2, 3000))
    units = units_of_rows(60, target, [predicted])
    stacks = list(units.draws(2000, seed=0))
    assert sum(len(stack) for stack in stacks) == 2000
    assert max(len(stack) for stack in stacks) * 60 * 60 <= CELLS_AT_ONCE
    matrices = units.confusions(stacks[0])
    assert (matrices.sum((1, 2)) == 3000).all()
    whole = units.confusions(units.counts[None])[0]
    assert whole.sum() == 3000
    assert whole[target[0], predicted[0]] == ((target == target[0]) & (predicted == predicted[0])).sum()


def test_rows_of_groups_lists_each_row_once() -> None:
    members = rows_of_groups(np.array(["b", "a", "b", "c"]))
    assert [rows.tolist() for rows in members] == [[1], [0, 2], [3]]
