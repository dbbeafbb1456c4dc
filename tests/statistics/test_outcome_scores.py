from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import bootstrap
from torchmetrics.regression import MeanAbsoluteError, R2Score

from tests.numbered import numbers
from tunebook.statistics.numbers import NumberPredictions, answering, number_outcomes
from tunebook.statistics.outcome_scores import outcome_difference, outcome_score


def test_the_interval_is_that_of_scipys_bootstrap() -> None:
    run = numbers(200)
    (outcome,) = number_outcomes(MeanAbsoluteError(), [run])
    score = outcome_score(outcome, "mae", len(run), higher_is_better=False, resamples=4000)
    errors = abs(run.target - run.predicted)
    theirs = bootstrap((errors,), np.mean, n_resamples=4000, method="percentile", rng=1).confidence_interval
    assert score.value == pytest.approx(errors.mean())
    assert (score.low, score.high) == pytest.approx(tuple(theirs), rel=0.02)
    assert score.method == "bootstrap" and not score.higher_is_better


def test_the_difference_is_paired() -> None:
    """Both models err on the same rows by nearly as much: their scores are unsure, their difference is not."""
    run = numbers(200)
    worse = replace(run, predicted=run.predicted + np.sign(run.predicted - run.target) * 0.1)
    one, other = number_outcomes(MeanAbsoluteError(), [run, worse])
    found = outcome_difference(one, other, len(run), resamples=500)
    assert found.value == pytest.approx(-0.1) and found.distinguishable
    assert found.high - found.low < 1e-6 and found.p_value < 0.01


def test_a_model_beside_itself_shows_nothing() -> None:
    run = numbers()
    one, other = number_outcomes(R2Score(), [run, run])
    found = outcome_difference(one, other, len(run), resamples=200)
    assert not found.distinguishable and found.p_value == 1


def test_what_is_undefined_or_alike_has_a_reason_and_no_interval() -> None:
    run = numbers()
    perfect = replace(run, predicted=run.target)
    flat = answering(1.0, replace(run, target=np.full(len(run), 1.0)))

    def scored(rows: NumberPredictions) -> tuple[float, float, str | None]:
        (outcome,) = number_outcomes(R2Score(), [rows])
        score = outcome_score(outcome, "r2", len(rows), higher_is_better=True, resamples=100)
        return score.value, score.low, score.reason

    value, low, reason = scored(perfect)
    assert value == 1 and np.isnan(low) and reason is not None and "equal" in reason
    value, low, reason = scored(flat)
    assert np.isnan(value) and np.isnan(low) and reason == "the metric is undefined on these rows"
