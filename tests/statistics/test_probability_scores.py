"""Scores of probabilities, against scikit-learn's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from tunebook.statistics.predictions import Predictions
from tunebook.statistics.probability_scores import probability_scores

Make = Callable[..., Predictions]


@pytest.mark.parametrize("labels", [2, 5])
def test_log_loss_and_brier_score_are_those_of_scikit_learn(make_predictions: Make, labels: int) -> None:
    rows = make_predictions(200, labels=labels)
    _, log, brier = probability_scores(rows, resamples=400)
    truth = [rows.labels[i] for i in rows.target]
    assert log.value == pytest.approx(log_loss(truth, rows.probabilities, labels=list(rows.labels)), rel=1e-9)
    if labels == 2:
        expected = brier_score_loss(rows.target, rows.probabilities[:, 1])
    else:
        expected = brier_score_loss(truth, rows.probabilities, labels=list(rows.labels), scale_by_half=True)
    assert brier.value == pytest.approx(expected, rel=1e-9)
    assert log.low < log.value < log.high and brier.low < brier.value < brier.high
    assert not (log.higher_is_better or brier.higher_is_better)
    assert brier.n == 200


def test_intervals_of_means_are_about_those_of_the_normal_distribution(make_predictions: Make) -> None:
    rows = make_predictions(2000)
    brier = probability_scores(rows, resamples=2000)[2]
    squares = np.square(rows.probabilities - np.eye(3)[rows.target]).sum(1) / 2
    half = 1.96 * squares.std() / np.sqrt(2000)
    assert brier.high - brier.value == pytest.approx(half, rel=0.1)
    assert brier.value - brier.low == pytest.approx(half, rel=0.1)


def test_rows_of_one_group_are_drawn_together(make_predictions: Make) -> None:
    single = make_predictions(60)
    several = {name: np.repeat(getattr(single, name), 5, axis=0) for name in ("target", "probabilities", "predicted")}
    rows = replace(single, **several, files=["a"] * 300, lines=list(range(300)), texts=["t"] * 300)
    alone = probability_scores(rows, resamples=1000)[2]
    grouped = probability_scores(replace(rows, groups=np.repeat(np.arange(60), 5)), resamples=1000)[2]
    assert grouped.value == pytest.approx(alone.value)
    assert grouped.high - grouped.low == pytest.approx(np.sqrt(5) * (alone.high - alone.low), rel=0.2)
    assert grouped.method == "group bootstrap"


def test_a_truth_without_a_probability_has_a_loss_all_the_same(make_predictions: Make) -> None:
    rows = make_predictions(3, labels=2)
    sure = replace(rows, target=np.array([0, 0, 1]), probabilities=np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]))
    _, log, brier = probability_scores(sure, resamples=50)
    assert log.value == pytest.approx((0 - np.log(np.finfo(float).eps) - np.log(0.5)) / 3)
    assert brier.value == pytest.approx((0 + 1 + 0.25) / 3)


def test_what_is_the_same_in_every_resample_has_no_interval(make_predictions: Make) -> None:
    rows = make_predictions(30, labels=2)
    even = replace(rows, probabilities=np.full((30, 2), 0.5))
    _, log, brier = probability_scores(even, resamples=50)
    assert (log.value, brier.value) == (pytest.approx(np.log(2)), 0.25)
    assert np.isnan(log.low) and brier.reason == "the same in every resample"
