"""Measures of answers with several labels: worked out by hand, and as scikit-learn has them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score, hamming_loss, precision_score, recall_score

from tunebook.statistics.metrics import update_metrics
from tunebook.statistics.predictions import Predictions
from tunebook.statistics.several import none_sums, scores_by_label, several_metrics

# Three labels; of the third no row has any, and one is given it.
TARGET = [[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 0], [0, 1, 0], [1, 0, 0]]
ANSWERS = [[1, 0, 0], [1, 0, 0], [0, 0, 0], [0, 1, 1], [0, 1, 0], [0, 0, 0]]


def answered(target: np.ndarray, answers: np.ndarray, probabilities: np.ndarray | None = None) -> Predictions:
    rows, labels = target.shape
    probabilities = answers.astype(np.float64) if probabilities is None else probabilities
    places = list(range(rows))
    names = tuple(f"label {i}" for i in range(labels))
    return Predictions(names, target, probabilities, answers, ["rows.csv"] * rows, places, ["a text"] * rows)


def by_hand() -> Predictions:
    return answered(np.array(TARGET), np.array(ANSWERS))


def made_up(rows: int = 400, labels: int = 4, seed: int = 0) -> Predictions:
    draw = np.random.default_rng(seed)
    target = (draw.random((rows, labels)) < [0.1, 0.3, 0.5, 0.05]).astype(np.int64)
    probabilities = 1 / (1 + np.exp(-(draw.normal(size=(rows, labels)) + 1.5 * (target - 0.5))))
    return answered(target, (probabilities >= [0.3, 0.5, 0.6, 0.4]).astype(np.int64), probabilities)


def computed(rows: Predictions, batch: int) -> dict[str, float]:
    metrics = several_metrics(len(rows.labels))
    for start in range(0, len(rows), batch):
        part = slice(start, start + batch)
        update_metrics(
            metrics, *(torch.from_numpy(each[part]) for each in (rows.probabilities, rows.predicted, rows.target))
        )
    return {name: float(value) for name, value in metrics.compute().items()}


def test_the_metrics_are_those_worked_out_by_hand() -> None:
    found = computed(by_hand(), batch=2)
    # Right, wrong, missed: 2 0 1, then 1 1 1, then 0 1 0. F1: 4/5, 2/4, 0; together 6 / (6 + 2 + 2).
    assert found["macro_f1"] == pytest.approx((0.8 + 0.5 + 0.0) / 3)
    assert found["micro_f1"] == pytest.approx(0.6)
    assert found["exact_match"] == pytest.approx(3 / 6)
    assert found["hamming_loss"] == pytest.approx(4 / 18)


def test_the_metrics_are_those_of_scikit_learn() -> None:
    rows = made_up()
    found = computed(rows, batch=64)
    target, answers = rows.target, rows.predicted
    assert found["macro_f1"] == pytest.approx(f1_score(target, answers, average="macro"))
    assert found["micro_f1"] == pytest.approx(f1_score(target, answers, average="micro"))
    assert found["hamming_loss"] == pytest.approx(hamming_loss(target, answers))
    assert found["exact_match"] == pytest.approx((target == answers).all(axis=1).mean())
    assert found["average_precision"] == pytest.approx(average_precision_score(target, rows.probabilities), abs=1e-6)


def test_a_label_that_nothing_has_is_left_out_of_the_mean() -> None:
    target, answers = np.array(TARGET), np.array(ANSWERS)
    answers[:, 2] = 0
    found = computed(answered(target, answers), batch=6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = f1_score(target, answers, average="macro", zero_division=np.nan)
    assert found["macro_f1"] == pytest.approx((0.8 + 0.5) / 2) == pytest.approx(theirs)
    nothing = np.zeros_like(target)
    assert np.isnan(computed(answered(nothing, nothing), batch=6)["macro_f1"])


def test_each_label_has_the_precision_recall_and_f1_of_scikit_learn() -> None:
    rows = made_up()
    for i, found in enumerate(scores_by_label(rows)):
        column = rows.target[:, i], rows.predicted[:, i]
        assert (found.label, found.n) == (rows.labels[i], rows.target[:, i].sum())
        assert found.precision.value == pytest.approx(precision_score(*column))
        assert found.recall.value == pytest.approx(recall_score(*column))
        assert found.f1.value == pytest.approx(f1_score(*column))
    last = scores_by_label(by_hand())[2]
    assert (last.precision.value, last.f1.value) == (0.0, 0.0) and np.isnan(last.recall.value)
    assert last.recall.reason == "no test row has the truth 'label 2'"


def test_precision_and_recall_have_wilsons_interval() -> None:
    first = scores_by_label(by_hand())[0]
    # Wilson (1927): 2 of 2 are 0.342 to 1, and 2 of 3 are 0.208 to 0.939.
    assert (first.precision.low, first.precision.high) == pytest.approx((0.342, 1.0), abs=1e-3)
    assert (first.recall.low, first.recall.high) == pytest.approx((0.208, 0.939), abs=1e-3)
    assert (first.precision.n, first.recall.n) == (2, 3)


def test_rows_without_any_label_are_counted() -> None:
    found = {name: (each.value(), int(each.rows.sum())) for name, each in none_sums(by_hand()).items()}
    # Rows 2 and 3 have none; rows 2 and 5 get none.
    assert found["none_recall"] == (0.5, 2)
    assert found["none_precision"] == (0.5, 2)
    assert found["none_rate"] == (pytest.approx(2 / 6), 6)
