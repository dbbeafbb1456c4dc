from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from tunebook.statistics.ranking import auroc, average_precision, pr_points, roc_points


@pytest.mark.parametrize("n,levels,share", [(200, 10**9, 0.3), (300, 4, 0.1), (57, 2, 0.6), (2, 10**9, 0.5)])
@pytest.mark.parametrize("seed", range(3))
def test_the_statistics_are_those_of_scikit_learn(n: int, levels: int, share: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    target = (np.arange(n) < max(1, share * n)).astype(int)
    scores = np.round((random.random(n) + 0.3 * target) * levels) / levels
    assert auroc(target, scores) == pytest.approx(roc_auc_score(target, scores), abs=1e-6)
    assert average_precision(target, scores) == pytest.approx(average_precision_score(target, scores), abs=1e-6)


@pytest.mark.parametrize("levels", [3, 10**6])
def test_whole_number_weights_are_rows_drawn_that_often(levels: int) -> None:
    random = np.random.default_rng(1)
    target, scores = random.integers(0, 2, 90), random.integers(0, levels, 90) / levels
    weights = random.multinomial(90, np.full(90, 1 / 90), size=20)
    areas, precisions = auroc(target, scores, weights), average_precision(target, scores, weights)
    assert areas.shape == precisions.shape == (20,)
    for i, weight in enumerate(weights):
        assert areas[i] == pytest.approx(roc_auc_score(target, scores, sample_weight=weight), abs=1e-6)
        expected = average_precision_score(target, scores, sample_weight=weight)
        assert precisions[i] == pytest.approx(expected, abs=1e-6)
    drawn = np.repeat(np.arange(90), weights[0])
    assert areas[0] == pytest.approx(roc_auc_score(target[drawn], scores[drawn]), abs=1e-6)


def test_a_class_that_is_absent_leaves_no_number() -> None:
    scores = np.array([0.1, 0.4, 0.8])
    for target in ([0, 0, 0], [1, 1, 1]):
        assert np.isnan(auroc(np.array(target), scores))
        assert np.isnan(average_precision(np.array(target), scores))
    weights = np.array([[1, 0, 2], [0, 3, 0], [0, 0, 3]])
    found = auroc(np.array([0, 0, 1]), scores, weights)
    assert found[0] == 1
    assert np.isnan(found[1:]).all()
    assert np.isnan(auroc(np.array([], dtype=int), np.array([])))


def test_one_score_for_all_rows_ranks_nothing() -> None:
    target, scores = np.array([1, 0, 0, 0]), np.full(4, 0.7)
    assert auroc(target, scores) == 0.5
    assert average_precision(target, scores) == 0.25


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="not numbers"):
        auroc(np.array([0, 1]), np.array([0.2, np.nan]))


@pytest.mark.parametrize("levels", [5, 10**6])
def test_the_curves_are_those_of_scikit_learn(levels: int) -> None:
    random = np.random.default_rng(2)
    target = random.integers(0, 2, 150)
    scores = np.round((random.random(150) + 0.4 * target) * levels) / levels
    roc = roc_points(target, scores)
    for ours, theirs in zip(
        (roc.x, roc.y, roc.thresholds), roc_curve(target, scores, drop_intermediate=False), strict=True
    ):
        assert ours == pytest.approx(theirs, abs=1e-6)
    precision, recall, thresholds = precision_recall_curve(target, scores)
    pr = pr_points(target, scores)
    assert pr.x == pytest.approx(recall[:-1][::-1], abs=1e-6)  # scikit-learn rises, and adds a point at recall 0
    assert pr.y == pytest.approx(precision[:-1][::-1], abs=1e-6)
    assert pr.thresholds == pytest.approx(thresholds[::-1], abs=1e-6)
