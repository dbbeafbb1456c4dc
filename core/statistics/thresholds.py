"""The probability from which a label is given, chosen on rows whose truth is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FEW = 5
"""Fewest rows with a label for its threshold to be chosen by them."""
USUAL = 0.5
"""The threshold where there are too few."""


def best_threshold(target: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    """The threshold with the highest F1, halfway between two probabilities; of equals the one nearest 0.5.

    Args:
        target: 1 where a row has the label, else 0, ``[rows]``.
        probabilities: Of the label, ``[rows]``.

    Returns:
        The label is given from this probability on; `USUAL` where fewer than `FEW` rows have it, or none has it not.
    """
    positives = int(target.sum())
    if positives < FEW or positives == len(target):
        return USUAL
    values = np.unique(probabilities)[::-1]
    edges = (values + np.append(values[1:], 0.0)) / 2
    given = probabilities[:, None] >= edges
    right = (given & (target[:, None] == 1)).sum(axis=0)
    f1 = 2 * right / (positives + given.sum(axis=0))
    best = np.flatnonzero(np.isclose(f1, f1.max()))
    return float(edges[best[np.abs(edges[best] - USUAL).argmin()]])


def choose_thresholds(target: NDArray[np.int64], probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """That of each label, ``[labels]``, of the truth and the probabilities ``[rows, labels]``."""
    return np.array([best_threshold(*column) for column in zip(target.T, probabilities.T, strict=True)])
