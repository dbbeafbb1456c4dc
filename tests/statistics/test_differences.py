from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score, roc_auc_score
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassAUROC, MulticlassF1Score

from tunebook.statistics import confusion
from tunebook.statistics.differences import differences, paired_difference, paired_metric_difference
from tunebook.statistics.metrics import Decided
from tunebook.statistics.predictions import Predictions

MakePredictions = Callable[..., Predictions]


def _wrong_on(rows: Predictions, wrong: list[int]) -> Predictions:
    predicted = rows.target.copy()
    predicted[wrong] = (predicted[wrong] + 1) % len(rows.labels)
    return replace(rows, predicted=predicted)


def test_a_clear_improvement_is_told_from_chance(make_predictions: MakePredictions) -> None:
    rows = make_predictions(n=100)
    worse = _wrong_on(rows, list(range(40)))
    better = _wrong_on(rows, list(range(35, 45)))
    found = paired_difference(better, worse, "macro_f1")
    expected = f1_score(rows.target, better.predicted, average="macro") - f1_score(
        rows.target, worse.predicted, average="macro"
    )
    assert found.value == pytest.approx(expected, abs=1e-12)
    assert 0 < found.low < found.value < found.high
    assert found.distinguishable
    assert found.p_value < 0.01
    opposite = paired_difference(worse, better, "macro_f1")
    assert opposite.value == pytest.approx(-found.value)
    assert opposite.distinguishable


def test_equal_models_cannot_be_told_apart(make_predictions: MakePredictions) -> None:
    rows = make_predictions()
    found = paired_difference(rows, rows, confusion.accuracy)
    assert (found.value, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert not found.distinguishable


@pytest.mark.parametrize("wins,losses", [(5, 0), (9, 2), (12, 1), (3, 3)])
def test_the_swap_test_is_the_exact_sign_test_for_accuracy(
    make_predictions: MakePredictions, wins: int, losses: int
) -> None:
    rows = make_predictions(n=60)
    a, b = _wrong_on(rows, list(range(losses))), _wrong_on(rows, list(range(30, 30 + wins)))
    found = paired_difference(a, b, "accuracy", resamples=4000)
    assert found.p_value == pytest.approx(binomtest(wins, wins + losses).pvalue, abs=0.02)


def test_a_handful_of_rows_shows_nothing_however_clear(make_predictions: MakePredictions) -> None:
    rows = make_predictions(n=5)
    found = paired_difference(_wrong_on(rows, []), _wrong_on(rows, list(range(5))), "accuracy")
    assert (found.value, found.low) == (1.0, 1.0)  # the bootstrap alone would be certain
    assert not found.distinguishable


def test_models_of_equal_skill_are_seldom_told_apart() -> None:
    random = np.random.default_rng(0)
    claims = 0
    for seed in range(200):
        target = random.integers(0, 2, 80)
        a, b = (np.where(random.random(80) < 0.8, target, 1 - target) for _ in range(2))
        first = Predictions(("no", "yes"), target, np.full((80, 2), 0.5), a, ["f"] * 80, list(range(80)), [""] * 80)
        second = replace(first, predicted=b)
        claims += paired_difference(first, second, "macro_f1", resamples=300, seed=seed).distinguishable
    assert claims <= 18  # 10 expected at 5 %


def test_rows_of_one_group_count_together(make_predictions: MakePredictions) -> None:
    rows = replace(make_predictions(n=80), groups=np.repeat(np.arange(4), 20))
    found = paired_difference(_wrong_on(rows, []), _wrong_on(rows, list(range(40))), "accuracy")
    assert found.value == 0.5
    assert found.method == "paired group bootstrap"
    assert not found.distinguishable  # 2 of 4 groups differ
    ungrouped = replace(rows, groups=None)
    assert paired_difference(
        _wrong_on(ungrouped, []), _wrong_on(ungrouped, list(range(40))), "accuracy"
    ).distinguishable


def test_different_rows_are_refused(make_predictions: MakePredictions) -> None:
    with pytest.raises(ValueError, match="same rows and labels"):
        paired_difference(make_predictions(seed=0), make_predictions(seed=1), "accuracy")


def test_every_metric_of_a_collection_is_compared(make_predictions: MakePredictions) -> None:
    rows = make_predictions(n=60)
    metrics = MetricCollection(
        {
            "accuracy": Decided(MulticlassAccuracy(3, average="micro")),
            "balanced": Decided(MulticlassAccuracy(3, average="macro")),
            "macro_f1": Decided(MulticlassF1Score(3, average="macro")),
            "auroc": MulticlassAUROC(3),
            "likeliest": MulticlassAccuracy(3, average="micro"),
        }
    )
    other = replace(_wrong_on(rows, list(range(45))), probabilities=np.full((60, 3), 1 / 3))
    found = differences(metrics, rows, other, resamples=200)
    assert set(found) == set(metrics)
    gap = (rows.predicted == rows.target).mean() - (other.predicted == other.target).mean()
    assert found["accuracy"].value == pytest.approx(gap)
    alike = (rows.predicted == rows.target).mean() - (rows.target == 0).mean()  # of equal shares the first is taken
    assert found["likeliest"].value == pytest.approx(alike)
    better = found["auroc"]
    assert better.value == pytest.approx(roc_auc_score(rows.target, rows.probabilities, multi_class="ovr") - 0.5)
    assert 0 < better.low < better.value < better.high and better.distinguishable
    assert better.method == "paired bootstrap, 200 resamples"


def test_any_metric_is_compared_as_its_confusion_matrix_would_be(make_predictions: MakePredictions) -> None:
    rows = make_predictions(n=60)
    a, b = _wrong_on(rows, list(range(10))), _wrong_on(rows, list(range(30)))
    accuracy = Decided(MulticlassAccuracy(3, average="micro"))
    slow = paired_metric_difference(a, b, accuracy)
    fast = paired_difference(a, b, "accuracy")
    assert slow.value == pytest.approx(fast.value)
    assert (slow.low, slow.high) == pytest.approx((fast.low, fast.high), abs=0.04)  # 200 resamples against 2000
    assert slow.distinguishable and fast.distinguishable
    same = paired_metric_difference(a, a, accuracy, resamples=50)
    assert (same.value, same.low, same.high, same.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_models_alike_but_for_their_scale_are_not_told_apart_by_a_ranking(make_predictions: MakePredictions) -> None:
    rows = replace(make_predictions(n=60), groups=np.repeat(np.arange(12), 5))
    noisy = rows.probabilities + np.random.default_rng(0).normal(0, 0.02, rows.probabilities.shape).clip(-0.05, 0.05)
    noisy = noisy.clip(0.001)
    other = replace(rows, probabilities=noisy / noisy.sum(1, keepdims=True))
    found = paired_metric_difference(rows, other, MulticlassAUROC(3))
    assert not found.distinguishable and found.method == "paired group bootstrap, 200 resamples"
    alone = replace(rows, groups=np.zeros(60, dtype=np.int64))
    lonely = paired_metric_difference(alone, replace(other, groups=alone.groups), MulticlassAUROC(3))
    assert np.isnan([lonely.low, lonely.high, lonely.p_value]).all()
