"""Probabilities of each row by a logistic regression that has not seen it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.models.linear import Floats, fitted, probabilities_of

FOLDS = 5
STRENGTH = 0.01
"""Inverse strength of regularisation (scikit-learn's C) on features of unit variance."""


def out_of_fold(
    features: NDArray[Any], target: NDArray[np.int64], labels: int, seed: int, groups: NDArray[Any] | None = None
) -> Floats:
    """Probabilities ``[rows, labels]`` by five-fold stratified cross-validation.

    Args:
        features: Of each row, ``[rows, features]``.
        target: Label numbers, ``[rows]``; each label that occurs has at least as many rows as there are folds.
        labels: How many labels there are.
        seed: Of the folds.
        groups: Rows of one group are in one fold, ``[rows]``; None where rows are independent.

    Raises:
        ValueError: There are fewer groups than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
    from sklearn.preprocessing import StandardScaler

    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    found = np.zeros((len(target), labels))
    for others, own in kind(FOLDS, shuffle=True, random_state=seed).split(features, target, groups):
        scale = StandardScaler().fit(features[others])
        model = fitted(scale.transform(features[others]), target[others], STRENGTH)
        found[own] = probabilities_of(model, scale.transform(features[own]), labels, only=int(target[others][0]))
    return found
