from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score
from torchmetrics.regression import MeanSquaredError

from tests.numbered import numbers
from tunebook.statistics.intervals import Score, wilson
from tunebook.statistics.metric_outcome import metric_outcomes
from tunebook.statistics.metrics import Decided
from tunebook.statistics.numbers import number_outcomes
from tunebook.statistics.outcome_scores import outcome_score
from tunebook.statistics.predictions import Predictions
from tunebook.statistics.subgroups import NOT_GIVEN, Gap, Part, gap, members, rows_of

Make = Callable[..., Predictions]
ACCURACY: Metric = Decided(MulticlassAccuracy(2, average="micro"))


def answered(right: int, n: int, groups: np.ndarray | None = None) -> Part:
    """Answers of two labels, so many of them right, as a part of the rows."""
    target = np.arange(n) % 2
    predicted = np.where(np.arange(n) < right, target, 1 - target)
    found = Predictions(("a", "b"), target, np.full((n, 2), 0.5), predicted, [""] * n, list(range(n)), [""] * n, groups)
    low, high = wilson(right, n)
    return Part(Score("accuracy", right / n, low, high, n), metric_outcomes(ACCURACY, [found])[0])


def between(one: Part, other: Part, **more: int) -> Gap:
    return gap("language", ("de", "en"), (one, other), **more)


def test_values_in_order_and_rows_without_one_last() -> None:
    found = [(value, rows.tolist()) for value, rows in members(["b", "", "a", "b", ""])]
    assert found == [("a", [2]), ("b", [0, 3]), (NOT_GIVEN, [1, 4])]


def test_rows_are_taken_of_every_column(make_predictions: Make) -> None:
    whole = make_predictions(9)
    some = rows_of(whole, np.array([7, 2]))
    assert (some.lines, some.texts, some.labels) == ([9, 4], ["text 7", "text 2"], whole.labels)
    assert some.target.tolist() == [whole.target[7], whole.target[2]]
    assert some.groups is None


def test_a_gap_is_the_difference_and_its_interval_that_of_two_independent_shares() -> None:
    found = between(answered(150, 200), answered(200, 400), resamples=4000)
    assert found.value == pytest.approx(0.25)
    half = 1.96 * np.sqrt(0.75 * 0.25 / 200 + 0.5 * 0.5 / 400)  # Wald's, good enough of so many rows
    assert (found.low, found.high) == pytest.approx((0.25 - half, 0.25 + half), abs=0.006)
    assert (found.distinguishable, found.method, found.reason) == (True, "unpaired bootstrap", None)
    same = between(answered(100, 200), answered(200, 400))
    assert same.value == 0 and same.low < 0 < same.high and not same.distinguishable


def test_the_two_groups_are_drawn_apart() -> None:
    one = answered(30, 40)
    found = between(one, one, resamples=4000)  # drawn together, each difference would be 0
    half = 1.96 * np.sqrt(2 * 0.75 * 0.25 / 40)
    assert (found.value, found.high) == pytest.approx((0, half), abs=0.02)


def test_a_perfect_group_is_not_certain() -> None:
    # Newcombe (1998), table II, method 10: 10/10 - 0/20 is 0.6791 to 1; here of twice and five times as many.
    found = between(answered(20, 20), answered(0, 100))
    low = 1 - np.hypot(1 - 20 / (20 + 3.8415), 3.8415 / (100 + 3.8415))
    assert (found.value, found.low, found.high) == pytest.approx((1, low, 1), abs=1e-4)
    assert (found.method, found.distinguishable) == ("intervals of the two scores", True)


def test_few_rows_hide_the_gap() -> None:
    found = between(answered(19, 19), answered(20, 40))
    assert np.isnan([found.value, found.low, found.high, found.scores[0].value]).all()
    assert (found.reason, found.distinguishable) == ("de: fewer than 20 rows", False)
    assert found.scores[1].value == 0.5


def test_whole_customers_are_resampled() -> None:
    alone = between(answered(20, 40), answered(30, 40), resamples=2000)
    groups = np.repeat(np.arange(8), 5)
    grouped = between(answered(20, 40, groups), answered(30, 40, groups), resamples=2000)
    assert grouped.value == alone.value
    assert grouped.high - grouped.low > 1.3 * (alone.high - alone.low)


def test_a_gap_of_errors_in_numbers() -> None:
    whole = numbers(120)
    metric = MeanSquaredError(squared=False)
    parts = []
    for rows in (np.arange(50), np.arange(50, 120)):
        (outcome,) = number_outcomes(metric, [rows_of(whole, rows)])
        parts.append(Part(outcome_score(outcome, "rmse", len(rows), higher_is_better=False), outcome))
    found = gap("shop", ("a", "b"), (parts[0], parts[1]))
    errors = (whole.target - whole.predicted) ** 2
    assert found.value == pytest.approx(np.sqrt(errors[:50].mean()) - np.sqrt(errors[50:].mean()))
    assert found.low < found.value < found.high


def test_a_macro_score_is_of_the_labels_of_the_group(make_predictions: Make) -> None:
    from sklearn.metrics import f1_score

    whole = make_predictions(200)
    rows = np.flatnonzero(whole.target != 2)[:60]
    some = rows_of(whole, rows)
    outcome = metric_outcomes(Decided(MulticlassF1Score(3, average="macro")), [some])[0]
    (value,) = outcome.scores(np.ones((1, outcome.units), dtype=np.int64))
    assert value == pytest.approx(f1_score(whole.target[rows], whole.predicted[rows], average="macro"))
