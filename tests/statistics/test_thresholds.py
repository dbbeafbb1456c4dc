"""Thresholds of labels, against every threshold tried one by one."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from tunebook.statistics.thresholds import FEW, USUAL, best_threshold


@pytest.mark.parametrize("seed", range(5))
def test_no_other_threshold_has_a_higher_f1(seed: int) -> None:
    draw = np.random.default_rng(seed)
    target = (draw.random(80) < 0.3).astype(np.int64)
    scores = np.round(1 / (1 + np.exp(-(draw.normal(size=80) + 1.5 * target - 2))), 2)  # many are equal
    found = best_threshold(target, scores)
    every = [f1_score(target, scores >= edge, zero_division=0) for edge in np.linspace(0, 1, 1001)]
    assert f1_score(target, scores >= found) == pytest.approx(max(every))
    assert not np.isin(found, scores), "halfway between two, so that the last digit of a probability decides nothing"


def test_of_equally_good_thresholds_the_one_nearest_a_half_is_taken() -> None:
    target, scores = np.array([1] * 5 + [0] * 5), np.array([0.9] * 5 + [0.2] * 5)
    assert best_threshold(target, scores) == pytest.approx(0.55)
    # From 0.8 on two of five are found and none wrong (4/7); from 0.1 on all ten are given it (10/15): that is better.
    mixed = np.array([0.9, 0.8, 0.1, 0.1, 0.1] + [0.1] * 5)
    assert best_threshold(target, mixed) == pytest.approx(0.05)


def test_too_few_rows_choose_nothing() -> None:
    scores = np.linspace(0.0, 0.4, 20)
    for positives in (0, FEW - 1, 20):
        target = np.array([0] * (20 - positives) + [1] * positives)
        assert best_threshold(target, scores) == USUAL
    target = np.array([0] * (20 - FEW) + [1] * FEW)
    assert best_threshold(target, scores) == pytest.approx((scores[-FEW] + scores[-FEW - 1]) / 2)
