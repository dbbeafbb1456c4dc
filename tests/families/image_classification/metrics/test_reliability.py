from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from tunebook.families.image_classification.metrics.reliability import (
    finding_brier_score,
    finding_calibration_score,
    finding_reliability,
)
from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.intervals import wilson

Make = Callable[..., FindingPredictions]


def test_the_bins_are_those_of_scikit_learn(make_findings: Make) -> None:
    rows = make_findings(n=400)
    table = finding_reliability(rows, "b")
    shares, means = calibration_curve(rows.target[:, 1], rows.probabilities[:, 1], n_bins=10)
    filled = [row for row in table if row.n]
    assert [row.share for row in filled] == pytest.approx(shares)
    assert [row.probability for row in filled] == pytest.approx(means)
    assert sum(row.n for row in table) == 400
    for row in filled:
        assert (row.low, row.high) == pytest.approx(wilson(round(row.share * row.n), row.n))
    weights = np.array([row.n for row in filled]) / 400
    error = finding_calibration_score(rows, "b")
    assert error.value == pytest.approx((weights * np.abs(shares - means)).sum())
    assert 0 <= error.low <= error.value <= error.high <= 1
    assert not error.higher_is_better


def test_the_edges_belong_to_a_bin() -> None:
    target, probabilities = np.array([[0], [1], [1]]), np.array([[0.0], [0.1], [1.0]])
    rows = FindingPredictions(("a",), target, probabilities, [""] * 3, [0] * 3, [""] * 3)
    assert [row.n for row in finding_reliability(rows, "a")] == [1, 1, 0, 0, 0, 0, 0, 0, 0, 1]


def test_the_brier_score_is_scikit_learn_s_with_an_interval(make_findings: Make) -> None:
    rows = make_findings(n=300)
    score = finding_brier_score(rows, "a")
    assert score.value == pytest.approx(brier_score_loss(rows.target[:, 0], rows.probabilities[:, 0]), abs=1e-6)
    squares = (rows.probabilities[:, 0] - rows.target[:, 0]) ** 2
    spread = 1.96 * squares.std() / np.sqrt(300)
    assert (score.low, score.high) == pytest.approx((score.value - spread, score.value + spread), abs=0.1 * spread)


def test_a_calibrated_model_s_interval_comes_near_zero(make_findings: Make) -> None:
    random = np.random.default_rng(0)
    rows = make_findings(n=500, findings=1)
    believed = random.random((500, 1))
    calibrated = replace(rows, probabilities=believed, target=(random.random((500, 1)) < believed).astype(np.int64))
    sure = replace(calibrated, probabilities=np.clip(believed * 3 - 1, 0, 1))
    assert finding_calibration_score(calibrated, "a").low < 0.02
    assert finding_calibration_score(sure, "a").low > 0.03


def test_patients_widen_the_intervals(make_findings: Make) -> None:
    rows = make_findings(n=600, patients=40, findings=1)
    for score in (finding_brier_score, finding_calibration_score):
        together, alone = score(rows, "a"), score(replace(rows, groups=None), "a")
        assert together.value == alone.value
        assert "group bootstrap" in together.method
        assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_no_error_is_not_certain(make_findings: Make) -> None:
    rows = make_findings()
    right = replace(rows, probabilities=rows.target.astype(float))
    for score in (finding_brier_score(right, "a"), finding_calibration_score(right, "a")):
        assert (score.value, score.low) == (0, 0)
        assert score.high == pytest.approx(wilson(0, 120)[1])


def test_no_rows_have_a_reason(make_findings: Make) -> None:
    for score in (finding_brier_score, finding_calibration_score):
        none = score(make_findings(n=0), "a")
        assert np.isnan([none.value, none.low, none.high]).all()
        assert none.reason == "there are no rows"
