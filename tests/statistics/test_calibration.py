from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from tunebook.statistics.calibration import calibration_score, expected_calibration_error, reliability
from tunebook.statistics.predictions import Predictions

MakePredictions = Callable[..., Predictions]


def test_the_error_equals_torchmetrics(make_predictions: MakePredictions) -> None:
    rows = make_predictions(n=300)
    right = rows.predicted == rows.target
    reference = multiclass_calibration_error(
        torch.from_numpy(rows.probabilities), torch.from_numpy(rows.target), 3, n_bins=15
    )
    found = expected_calibration_error(rows.confidence(), right)
    assert found == pytest.approx(float(reference), abs=1e-6)  # torchmetrics bins in float32


def test_the_error_of_two_bins_is_the_weighted_gap() -> None:
    believed, right = [0.9, 0.9, 0.9, 0.6], [True, True, False, False]
    expected = 3 / 4 * abs(0.9 - 2 / 3) + 1 / 4 * 0.6
    assert expected_calibration_error(believed, right) == pytest.approx(expected)
    assert np.isnan(expected_calibration_error([], []))


def test_the_table_holds_every_row_once_even_at_probability_one(make_predictions: MakePredictions) -> None:
    rows = make_predictions()
    rows.probabilities[0] = np.eye(3)[rows.predicted[0]]
    table = reliability(rows, bins=10)
    assert sum(each.n for each in table) == len(rows)
    for each in table:
        if each.n:
            assert each.start <= each.confidence <= each.end
            assert each.low <= each.accuracy <= each.high
        else:
            assert np.isnan(each.accuracy)


def test_the_score_of_a_calibrated_model_reaches_down_towards_zero(
    make_predictions: MakePredictions,
) -> None:
    random = np.random.default_rng(0)
    rows = make_predictions(n=400, labels=2)
    sure = random.uniform(0.5, 1, 400)
    predicted = np.where(random.random(400) < sure, rows.target, 1 - rows.target)
    probabilities = np.where(np.eye(2)[predicted] == 1, sure[:, None], 1 - sure[:, None])
    score = calibration_score(replace(rows, probabilities=probabilities, predicted=predicted))
    assert 0 <= score.low < 0.02 < score.value <= score.high < 0.12
    assert not score.higher_is_better
