"""Statistics of confusion matrices, over any number of matrices at once.

Every function takes counts `[..., labels, labels]` (truth first, answer second) and works on the last two
axes, so that thousands of bootstrap resamples cost one call. What is undefined is nan, never 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[Any]
Floats = NDArray[np.float64]
Statistic = Callable[[Counts], Floats]


def accuracy(confusion: Counts) -> Floats:
    """Share of rows that are answered right, `[...]`."""
    return _ratio(_right(confusion).sum(-1), confusion.sum((-2, -1)))


def recall(confusion: Counts) -> Floats:
    """Share of each label's rows that are found, `[..., labels]`; nan for a label without rows."""
    return _ratio(_right(confusion), confusion.sum(-1))


def precision(confusion: Counts) -> Floats:
    """Share of each label's answers that are right, `[..., labels]`; nan for a label never answered."""
    return _ratio(_right(confusion), confusion.sum(-2))


def f1(confusion: Counts) -> Floats:
    """Harmonic mean of precision and recall, `[..., labels]`.

    It is nan only for a label that occurs in neither truth nor answers, and 0 for one never answered right.
    """
    return _ratio(2 * _right(confusion), confusion.sum(-1) + confusion.sum(-2))


def macro_f1(confusion: Counts) -> Floats:
    """Mean F1 over the labels that occur in truth or answers, `[...]`, as scikit-learn does."""
    return _mean(f1(confusion))


def balanced_accuracy(confusion: Counts) -> Floats:
    """Mean recall over the labels that occur in the truth, `[...]`, as scikit-learn does."""
    return _mean(recall(confusion))


def macro_accuracy(confusion: Counts) -> Floats:
    """Mean recall over the labels that occur in truth or answers, `[...]`, as torchmetrics does.

    A label that is answered but never true counts 0 here; `balanced_accuracy` leaves it out. Where every
    answered label also occurs in the truth the two are equal.
    """
    right, rows = _right(confusion), confusion.sum(-1)
    found = np.where(rows > 0, right / np.maximum(rows, 1), 0.0)
    occurs = (rows + confusion.sum(-2)) > 0
    return _ratio((found * occurs).sum(-1), occurs.sum(-1))


def mean_absolute_error(confusion: Counts) -> Floats:
    """Mean distance between truth and answer in label steps, `[...]` (labels in their order)."""
    steps = np.abs(_steps(confusion.shape[-1]))
    return _ratio((confusion * steps).sum((-2, -1)), confusion.sum((-2, -1)))


def quadratic_kappa(confusion: Counts) -> Floats:
    """Agreement beyond chance with squared distances as weights, `[...]` (Cohen, 1968).

    It is nan when truth and answers hold one and the same label only: there is no chance to go beyond.
    """
    weights = _steps(confusion.shape[-1]) ** 2
    rows, columns = confusion.sum(-1), confusion.sum(-2)
    # weights are (i - j)^2, so the expected sum follows from means and squares without an outer product
    index = np.arange(confusion.shape[-1], dtype=np.float64)
    total = confusion.sum((-2, -1))
    expected = (rows @ index**2 + columns @ index**2) - 2 * _ratio((rows @ index) * (columns @ index), total)
    return 1.0 - _ratio((confusion * weights).sum((-2, -1)), expected)


STATISTICS: dict[str, Statistic] = {
    "accuracy": accuracy,
    "macro_f1": macro_f1,
    "balanced_accuracy": balanced_accuracy,
    "mean_absolute_error": mean_absolute_error,
    "quadratic_kappa": quadratic_kappa,
}


def _right(confusion: Counts) -> Counts:
    hits: Counts = np.diagonal(confusion, axis1=-2, axis2=-1)
    return hits


def _steps(size: int) -> Floats:
    index = np.arange(size, dtype=np.float64)
    return index[:, None] - index[None, :]


def _ratio(numerator: Any, denominator: Any) -> Floats:
    top, bottom = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    shares: Floats = np.full(np.broadcast_shapes(top.shape, bottom.shape), np.nan)
    np.divide(top, bottom, out=shares, where=bottom != 0)
    return shares


def _mean(values: Floats) -> Floats:
    """Average the last axis over what is defined; nan where nothing is."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0.0).sum(-1), known.sum(-1))
