"""A solved final layer against scikit-learn's logistic regression, and how its strength is chosen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression, Ridge

from tunebook.families.text_regression.head import RegressionHead
from tunebook.training.softmax_head import FindingsHead, SoftmaxHead
from tunebook.training.solve import FEW, STRENGTHS, folds, solve, solve_chosen


def rows(count: int = 90, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    features, truth = make_classification(
        count, 12, n_informative=6, n_classes=classes, random_state=seed, class_sep=0.7
    )
    return features.astype(np.float32), truth.astype(np.int64)


def probabilities(solved, features, activation="softmax"):
    logits = torch.tensor(features) @ solved.weight.T + solved.bias
    return (logits.softmax(1) if activation == "softmax" else logits.sigmoid()).numpy()


@pytest.mark.parametrize("strength", [0.1, 1.0, 100.0])
def test_softmax_is_scikit_learns(strength: float) -> None:
    features, truth = rows()
    solved = solve(torch.tensor(features), torch.tensor(truth), 3, SoftmaxHead(3).loss, strength)
    theirs = LogisticRegression(C=strength, max_iter=2000, tol=1e-8).fit(features, truth)
    np.testing.assert_allclose(probabilities(solved, features), theirs.predict_proba(features), atol=2e-3)


def test_weights_of_labels_are_weights_of_rows() -> None:
    features, truth = rows()
    counted = torch.tensor([1.0, 3.0, 0.5])
    solved = solve(torch.tensor(features), torch.tensor(truth), 3, SoftmaxHead(3, counted).loss, 1.0)
    theirs = LogisticRegression(max_iter=2000, tol=1e-8).fit(features, truth, sample_weight=counted.numpy()[truth])
    np.testing.assert_allclose(probabilities(solved, features), theirs.predict_proba(features), atol=2e-3)


def test_several_labels_are_one_regression_each() -> None:
    features, truth = rows()
    flags = np.stack([truth == 0, truth > 0], axis=1).astype(np.int64)
    # the loss of a row is the mean over its labels, so that each label has half the strength
    solved = solve(torch.tensor(features), torch.tensor(flags), 2, FindingsHead(2).loss, 2.0)
    for label in range(2):
        theirs = LogisticRegression(C=1.0, max_iter=2000, tol=1e-8).fit(features, flags[:, label])
        ours = probabilities(solved, features, "sigmoid")[:, label]
        np.testing.assert_allclose(ours, theirs.predict_proba(features)[:, 1], atol=2e-3)


def test_numbers_are_ridge_regression() -> None:
    features, truth = rows()
    target = (truth + features[:, 0]).astype(np.float32)
    solved = solve(torch.tensor(features), torch.tensor(target), 1, RegressionHead().loss, 5.0)
    theirs = Ridge(alpha=1 / 10.0).fit(features, target)  # squared errors count twice in 1/2 |w|^2 + C sum e^2
    ours = (torch.tensor(features) @ solved.weight.T + solved.bias).numpy()[:, 0]
    np.testing.assert_allclose(ours, theirs.predict(features), atol=2e-3)


def test_few_rows_are_held_out_in_turn() -> None:
    features, truth = rows()
    x, y = torch.tensor(features), torch.tensor(truth)
    solved = solve_chosen(x, y, 3, SoftmaxHead(3).loss, (x[:0], y[:0]), seed=1)
    losses = {}
    for strength in STRENGTHS:
        total = 0.0
        for held in folds(truth, 1):
            kept = np.setdiff1d(np.arange(len(truth)), held)
            theirs = LogisticRegression(C=strength, max_iter=2000, tol=1e-8).fit(features[kept], truth[kept])
            total -= np.log(theirs.predict_proba(features[held])[np.arange(len(held)), truth[held]]).sum()
        losses[strength] = total / len(truth)
    assert solved.strength == min(losses, key=lambda strength: losses[strength])
    assert "5-fold" in solved.chosen_by
    assert solved.held_out is not None
    assert float(SoftmaxHead(3).loss(solved.held_out, y).mean()) == pytest.approx(losses[solved.strength], abs=2e-3)


def test_of_many_rows_the_validation_rows_decide() -> None:
    features, truth = rows(FEW + 200)
    x, y = torch.tensor(features), torch.tensor(truth)
    solved = solve_chosen(x[:-100], y[:-100], 3, SoftmaxHead(3).loss, (x[-100:], y[-100:]), seed=0)
    assert solved.chosen_by == "the validation rows" and solved.held_out is None


def test_a_class_of_one_row_cannot_be_held_out() -> None:
    features, truth = rows(12)
    truth[:] = [0] * 6 + [1] * 5 + [2]
    x, y = torch.tensor(features), torch.tensor(truth)
    assert "single row" in solve_chosen(x, y, 3, SoftmaxHead(3).loss, (x[:0], y[:0]), seed=0).chosen_by


def test_each_fold_has_each_class() -> None:
    truth = np.repeat([0, 1, 2], [20, 10, 5])
    parts = folds(truth, 3)
    assert sorted(np.concatenate(parts)) == list(range(35))
    assert all(set(truth[part]) == {0, 1, 2} for part in parts)
