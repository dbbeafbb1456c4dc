from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from tests.calibrated import simulated
from tunebook.statistics.temperature import fit_temperature, scaled


def _loss(logits: np.ndarray, target: np.ndarray, multilabel: bool, temperature: float) -> float:
    sharp = logits / temperature
    if multilabel:
        return float(np.logaddexp(0, np.where(target == 1, -sharp, sharp)).mean())
    return float(-log_softmax(sharp, axis=1)[np.arange(len(target)), target].mean())


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.5])
def test_the_temperature_that_made_the_logits_is_found(temperature: float, multilabel: bool) -> None:
    fitted = fit_temperature(*simulated(temperature, multilabel, 20_000), multilabel)
    assert fitted.value == pytest.approx(temperature, rel=0.05)
    assert fitted.note is None


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_minimum_that_scipy_finds(seed: int, multilabel: bool) -> None:
    logits, target = simulated(2.0, multilabel, 60, seed)
    found = minimize_scalar(
        lambda t: _loss(logits, target, multilabel, np.exp(t)),
        bounds=(np.log(0.05), np.log(20)),
        method="bounded",
        options={"xatol": 1e-8},
    )
    assert fit_temperature(logits, target, multilabel).value == pytest.approx(np.exp(found.x), abs=1e-4)


def test_rows_that_say_nothing_of_it_give_a_bound_and_a_note() -> None:
    logits, _ = simulated(1.0, False, 50)
    certain = fit_temperature(logits, logits.argmax(1), multilabel=False)
    assert certain.value == 0.05
    assert "every row is right" in str(certain.note)
    one_class = fit_temperature(np.full((9, 2), [3.0, 0.0]), np.zeros(9, dtype=int), multilabel=False)
    assert (one_class.value, one_class.note is None) == (0.05, False)
    wrong = fit_temperature(logits, logits.argmin(1), multilabel=False)
    assert wrong.value == 20
    assert "mislead" in str(wrong.note)
    alike = fit_temperature(np.zeros((5, 3)), np.array([0, 1, 2, 0, 1]), multilabel=False)
    assert (alike.value, alike.note is None) == (1.0, False)
    none = fit_temperature(np.zeros((0, 3)), np.zeros(0, dtype=int), multilabel=False)
    assert (none.value, none.note is None) == (1.0, False)


def test_large_logits_do_not_overflow() -> None:
    logits, target = simulated(1.0, True, 500)
    with np.errstate(all="raise", under="ignore"):
        for multilabel, truth in ((True, target), (False, target.argmax(1))):
            assert 0.05 <= fit_temperature(logits * 2000, truth, multilabel).value <= 20


def test_scaling_divides_and_keeps_the_order() -> None:
    logits = np.array([[2.0, -1.0], [0.5, 4.0]])
    assert scaled(logits, 2.0).tolist() == [[1.0, -0.5], [0.25, 2.0]]
