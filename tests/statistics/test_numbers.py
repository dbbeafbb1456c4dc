from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from torchmetrics.regression import (
    MeanAbsoluteError,
    MeanSquaredError,
    PearsonCorrCoef,
    R2Score,
    SpearmanCorrCoef,
)

from tests.numbered import numbers
from tunebook.statistics.numbers import (
    ComputedOutcome,
    answering,
    measure_numbers,
    number_outcomes,
)

# That all rows are kept is how a rank correlation is computed.
pytestmark = pytest.mark.filterwarnings("ignore:Metric .SpearmanCorrcoef. will save all:UserWarning")

METRICS: dict[str, tuple[Callable[[], Any], Callable[[Any, Any], float]]] = {
    "mae": (MeanAbsoluteError, mean_absolute_error),
    "rmse": (lambda: MeanSquaredError(squared=False), root_mean_squared_error),
    "r2": (R2Score, r2_score),
    "spearman": (SpearmanCorrCoef, lambda truth, answers: spearmanr(truth, answers).statistic),
    "pearson": (PearsonCorrCoef, lambda truth, answers: np.corrcoef(truth, answers)[0, 1]),
}


def drawn(units: int) -> Any:
    return np.random.default_rng(0).multinomial(units, np.full(units, 1 / units), size=4)


@pytest.mark.parametrize("step", [None, 0.5], ids=["no ties", "ties"])
@pytest.mark.parametrize("name", list(METRICS))
def test_resampled_and_exchanged_numbers_are_scored_as_scikit_learn_and_scipy_score_the_rows(
    name: str, step: float | None
) -> None:
    metric, reference = METRICS[name]
    one, other = numbers(seed=0, step=step), numbers(seed=1, step=step)
    mine, theirs = number_outcomes(metric(), [one, other])
    assert isinstance(mine, ComputedOutcome) == (name == "pearson")
    for counts, value in zip(drawn(60), mine.scores(drawn(60)), strict=True):
        rows = np.repeat(np.arange(60), counts)
        assert value == pytest.approx(reference(one.target[rows], one.predicted[rows]))
    swaps = np.random.default_rng(0).integers(0, 2, size=(4, 60))
    for swap, value in zip(swaps, mine.exchanged(theirs, swaps), strict=True):
        mixed = np.where(swap == 1, other.predicted, one.predicted)
        assert value == pytest.approx(reference(one.target, mixed))


@pytest.mark.parametrize("name", list(METRICS))
def test_groups_are_drawn_whole(name: str) -> None:
    metric, reference = METRICS[name]
    groups = np.array(["x", "y", "z"] * 20)
    run = replace(numbers(), groups=groups)
    (outcome,) = number_outcomes(metric(), [run])
    assert outcome.units == 3
    rows = np.concatenate([np.flatnonzero(groups == "x"), *[np.flatnonzero(groups == "z")] * 2])
    (value,) = outcome.scores(np.array([[1, 0, 2]]))
    assert value == pytest.approx(reference(run.target[rows], run.predicted[rows]))


def test_r2_of_large_numbers_that_differ_little_keeps_its_digits() -> None:
    run = numbers(at=1e7)
    (outcome,) = number_outcomes(R2Score(), [run])
    (value,) = outcome.scores(np.ones((1, 60), dtype=np.int64))
    assert value == pytest.approx(r2_score(run.target, run.predicted), rel=1e-6)


def test_what_has_no_variance_has_no_r2_and_no_correlation() -> None:
    run = numbers()
    flat = replace(run, target=np.full(60, 2.0))
    assert np.isnan(number_outcomes(R2Score(), [flat])[0].scores(drawn(60))).all()
    assert np.isnan(number_outcomes(SpearmanCorrCoef(), [answering(2.0, run)])[0].scores(drawn(60))).all()


def test_runs_on_other_rows_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same test rows"):
        number_outcomes(R2Score(), [numbers(60), replace(numbers(60), target=np.zeros(60))])


def test_a_metric_that_needs_more_rows_is_undefined_and_not_an_error() -> None:
    assert np.isnan(measure_numbers(R2Score(), np.array([1.0]), np.array([1.0])))
    assert np.isnan(measure_numbers(R2Score(), np.array([]), np.array([])))
