from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tunebook.compare.statistics.rung_score import score_of_rung
from tunebook.statistics.intervals import wilson
from tunebook.statistics.outcomes import confusion_outcome

DRAWS = 200
BETTER = {"accuracy": True, "macro_f1": True, "mean_absolute_error": False, "auroc": True, "perplexity": False}


def score(outcomes: Any, metric: str = "accuracy", n: int = 300, **settings: Any) -> Any:
    higher = BETTER.get(metric, True)
    return score_of_rung(outcomes, metric, n, higher_is_better=higher, **{"resamples": 400, **settings})


@pytest.mark.parametrize(
    "name", ["accuracy", "macro_f1", "quadratic_kappa", "mean_absolute_error", "perplexity", "bleu", "fact_recall"]
)
def test_intervals_hold_the_true_value_as_often_as_they_say(simulated: Any, name: str) -> None:
    """3.3 binomial deviations below 95 %, and as wide as the values of other test sets scatter."""
    kind = next(kind for kind in simulated.KINDS if kind.name == name)
    true, rng = simulated.truth(kind), np.random.default_rng(2)
    found = [score(simulated.ladder(kind, rng, 1, 3)[0], name, kind.n, seed=i) for i in range(DRAWS)]
    assert np.mean([each.low <= true <= each.high for each in found]) >= 0.90
    reach = np.mean([each.high - each.low for each in found]) / 2
    assert reach == pytest.approx(1.97 * np.std([each.value for each in found]), rel=0.2)


@pytest.mark.parametrize("name", ["auroc", "average_precision"])
def test_intervals_of_rankings_do_too(simulated: Any, name: str) -> None:
    kind = simulated.Kind(name, 150)
    true, rng = simulated.truth(kind), np.random.default_rng(2)
    found = [score(simulated.ladder(kind, rng, 1, 2)[0], name, kind.n, resamples=250, seed=i) for i in range(DRAWS)]
    assert np.mean([each.low <= true <= each.high for each in found]) >= 0.90
    reach = np.mean([each.high - each.low for each in found]) / 2
    assert reach == pytest.approx(1.97 * np.std([each.value for each in found]), rel=0.2)


def test_seeds_of_a_row_are_kept_together(answers_right: Any) -> None:
    """Three runs with the same answers are no more evidence than one."""
    one = answers_right(0.7)
    alone, thrice = score([one]), score([one, one, one])
    assert (thrice.value, thrice.low, thrice.high) == pytest.approx((alone.value, alone.low, alone.high))
    apart = score([answers_right(0.7, seed=seed, loose=0.6) for seed in range(3)])
    assert apart.high - apart.low < score([one]).high - score([one]).low


def test_what_is_perfect_is_not_certain(answers_right: Any, simulated: Any) -> None:
    low, high = wilson(40, 40)
    found = score([answers_right(2.0, n=40)], n=40)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    target = np.arange(100) < 5
    perfect = simulated._ranking("auroc", target.astype(np.int64), target.astype(float))
    found = score([perfect], "auroc", 100)
    assert found.value == found.high == 1.0 and found.low == pytest.approx(wilson(5, 5)[0])


def test_groups_make_intervals_wider_and_are_told(make_predictions: Any) -> None:
    rows = make_predictions(n=80)
    predicted = np.where(np.arange(80) // 8 % 4 > 0, rows.target, (rows.target + 1) % 3)
    rows = replace(rows, predicted=predicted)
    alone = score([confusion_outcome(rows, "accuracy")], n=80)
    grouped = score([confusion_outcome(replace(rows, groups=np.arange(80) // 8), "accuracy")], n=80)
    assert grouped.high - grouped.low > 1.8 * (alone.high - alone.low)
    assert (alone.method, grouped.method) == ("bootstrap on log-odds", "group bootstrap on log-odds")


def test_too_few_rows_have_no_interval(answers_right: Any) -> None:
    found = score([answers_right(0.5, n=3)], n=3)
    assert np.isnan(found.low) and found.reason is not None and "too few" in found.reason
