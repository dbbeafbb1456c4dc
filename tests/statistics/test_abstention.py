"""Thresholds below which a model is not sure, against counts by hand, brute force and SciPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from tunebook.statistics.abstention import (
    answered_scores,
    area_score,
    area_under_risk,
    choose_threshold,
    risk_coverage,
    rows_needed,
    upper_bound,
)
from tunebook.statistics.predictions import Predictions
from tunebook.statistics.threshold import Threshold

Make = Callable[..., Predictions]


def answered(make: Make, top: list[float], right: list[bool]) -> Predictions:
    """Answers of two labels with these probabilities."""
    rows = make(len(top), labels=2)
    sure = np.array(top)
    target = np.where(right, 0, 1)
    return replace(
        rows, probabilities=np.stack([sure, 1 - sure], 1), predicted=np.zeros(len(top), dtype=np.int64), target=target
    )


@pytest.mark.parametrize(("errors", "rows"), [(0, 10), (3, 40), (20, 21), (7, 7)])
def test_the_bound_is_that_of_scipy(errors: int, rows: int) -> None:
    expected = binomtest(errors, rows, alternative="less").proportion_ci(0.95, method="exact").high
    assert upper_bound(errors, rows, 0.95) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("wanted", "rows"), [(0.02, 149), (0.05, 59), (0.1, 29)])
def test_so_many_rows_without_an_error_are_needed(wanted: float, rows: int) -> None:
    assert rows_needed(wanted, 0.95) == rows
    assert upper_bound(0, rows, 0.95) <= wanted < upper_bound(0, rows - 1, 0.95)


def test_few_rows_promise_nothing_and_the_observed_share_decides() -> None:
    top = np.array([0.99, 0.95, 0.9, 0.8, 0.7, 0.6])
    right = np.array([True, True, True, False, True, False])
    none = choose_threshold(top, right, 0.02)
    assert none is not None
    assert (none.value, none.promised, none.answered, none.errors) == (pytest.approx(0.85), False, 3, 0)
    assert none.bound == pytest.approx(1 - 0.05 ** (1 / 3))  # by hand: no error in three rows
    fifth = choose_threshold(top, right, 0.2)
    assert fifth is not None and (fifth.value, fifth.answered, fifth.errors) == (pytest.approx(0.65), 5, 1)
    half = choose_threshold(top, right, 0.34)
    assert half is not None and (half.value, half.answered, half.errors) == (0.0, 6, 2)


def test_rows_of_one_probability_are_answered_together() -> None:
    top, right = np.array([0.9, 0.8, 0.8, 0.8, 0.5]), np.array([True, True, True, False, True])
    found = choose_threshold(top, right, 0.1)
    assert found is not None and (found.value, found.answered) == (pytest.approx(0.85), 1)


def test_no_threshold_where_the_surest_are_wrong_too_often() -> None:
    assert choose_threshold(np.array([0.9, 0.8]), np.array([False, True]), 0.02) is None
    assert choose_threshold(np.zeros(0), np.zeros(0, dtype=bool), 0.02) is None


def simulated(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Answers that are right as often as their probability says."""
    random = np.random.default_rng(seed)
    top = random.uniform(0.5, 1, n)
    return top, random.random(n) < top


def test_a_promise_is_the_last_of_the_shares_tried_whose_bounds_all_keep_to_it() -> None:
    top, right = simulated(4000, 0)
    found = choose_threshold(top, right, 0.1)
    assert found is not None and found.promised
    order = np.argsort(-top)
    kept = 0
    for count in range(200, 4001, 200):  # twentieths; 200 rows are more than the 29 that are needed
        errors = int((~right[order[:count]]).sum())
        if binomtest(errors, count, alternative="less").proportion_ci(0.95, method="exact").high > 0.1:
            break
        kept = count
    given = top >= found.value
    assert found.answered == kept == given.sum()
    assert found.errors == (given & ~right).sum()
    # from a probability t on, answers are wrong in (1 - t) / 2 of the rows
    assert 0.8 < found.value < 0.86


def test_the_promise_holds_in_nearly_all_draws() -> None:
    broken = promised = 0
    for seed in range(400):
        found = choose_threshold(*simulated(600, seed), 0.1, confidence=0.9)
        if found is not None and found.promised:
            promised += 1
            broken += (1 - max(found.value, 0.5)) / 2 > 0.1
    assert promised > 250
    assert broken <= 40


def test_rows_of_one_group_promise_as_much_as_a_row_of_each() -> None:
    top, right = simulated(400, 1)
    alone = choose_threshold(top, right, 0.15)
    copies = np.repeat(top, 5), np.repeat(right, 5)
    free = choose_threshold(*copies, 0.15)
    grouped = choose_threshold(*copies, 0.15, groups=np.repeat(np.arange(400), 5))
    assert alone is not None and free is not None and grouped is not None
    assert (grouped.value, grouped.bound) == (alone.value, pytest.approx(alone.bound))
    assert grouped.answered == 5 * alone.answered
    assert free.value < grouped.value


def test_the_curve_and_its_area_are_those_counted_by_hand(make_predictions: Make) -> None:
    rows = answered(make_predictions, [0.6, 0.9, 0.8, 0.8], [False, True, True, False])
    curve = risk_coverage(rows)
    assert curve.x.tolist() == [0.25, 0.75, 1.0]
    assert curve.y.tolist() == [0.0, pytest.approx(1 / 3), 0.5]
    assert curve.thresholds.tolist() == [0.9, 0.8, 0.6]
    assert area_under_risk(rows) == pytest.approx((0 + 1 / 3 + 1 / 3 + 1 / 2) / 4)


def test_the_area_is_that_of_its_definition(make_predictions: Make) -> None:
    rows = make_predictions(150)
    rows = replace(rows, probabilities=np.round(rows.probabilities, 1))  # with ties
    sure, wrong = rows.confidence(), rows.predicted != rows.target
    expected = np.mean([wrong[sure >= level].mean() for level in sure])
    score = area_score(rows, resamples=300)
    assert score.value == pytest.approx(expected)
    assert score.low < score.value < score.high
    drawn = np.random.default_rng(3).integers(0, 150, 150)
    again = replace(
        rows, target=rows.target[drawn], probabilities=rows.probabilities[drawn], predicted=rows.predicted[drawn]
    )
    assert area_under_risk(rows, np.bincount(drawn, minlength=150)) == pytest.approx(area_under_risk(again))


def test_what_the_answers_given_are_worth(make_predictions: Make) -> None:
    rows = answered(make_predictions, [0.9] * 30 + [0.6] * 10, [True] * 28 + [False] * 2 + [True] * 10)
    coverage, error = answered_scores(rows, 0.7)
    assert (coverage.value, coverage.n, error.value, error.n) == (0.75, 40, pytest.approx(2 / 30), 30)
    for score, hits in ((coverage, 30), (error, 2)):
        exact = binomtest(hits, score.n).proportion_ci(0.95, method="wilson")
        assert (score.low, score.high) == (pytest.approx(exact.low), pytest.approx(exact.high))
    nothing = answered_scores(rows, 0.95)[1]
    assert np.isnan(nothing.value) and nothing.reason == "no row was answered"
    groups = np.repeat(np.arange(8), 5)
    grouped = answered_scores(replace(rows, groups=groups), 0.7)[0]
    assert grouped.low < coverage.low and grouped.high > coverage.high


def test_a_stored_threshold_is_read_back_and_a_damaged_one_is_refused() -> None:
    found = Threshold(0.5, 0.02, False, 0.3, 0.95, 10, 6, 0)
    assert Threshold.from_json(found.to_json()) == found
    for damage in ({"value": 1.5}, {"value": "0.5"}, {"errors": 7}, {"rows": 3}, {"promised": 1}, {"more": 1}):
        with pytest.raises(ValueError):
            Threshold.from_json({**found.to_json(), **damage})
