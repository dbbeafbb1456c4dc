"""Out-of-fold probabilities, beside scikit-learn's own cross-validation."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tunebook.models.out_of_fold import out_of_fold


def rows(count: int = 90) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    target = np.arange(count) % 3
    return draw.normal(size=(count, 8)) + 2 * np.eye(8)[target], target


def test_as_cross_validation_of_scikit_learn():
    features, target = rows()
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    folds = StratifiedKFold(5, shuffle=True, random_state=7)
    expected = cross_val_predict(model, features, target, cv=folds, method="predict_proba")
    found = out_of_fold(features, target, 4, seed=7)
    np.testing.assert_allclose(found[:, :3], expected, atol=1e-6)
    assert not found[:, 3].any()


def test_no_row_of_a_group_is_judged_by_another_of_it():
    """Ten copies of each row: with copies in training, the wrong label of all would be believed."""
    features, target = rows(30)
    features, groups = np.repeat(features, 10, axis=0), np.repeat(np.arange(30), 10)
    target = np.repeat(target, 10)
    target[:10] = 1  # the copies of the first row, whose label is 0
    alone, together = (out_of_fold(features, target, 3, 0, each)[:10] for each in (None, groups))
    assert together[:, 1].max() < alone[:, 1].min()
