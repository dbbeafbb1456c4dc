"""Labels that are probably wrong, by confident learning (Northcutt, Jiang & Chuang 2021, arXiv:1911.00068).

A label's threshold is the mean probability that a model gives it on the rows that bear it. A row is suspect if the
model is above the threshold of another label and below, or less above, that of its own. The same rows in the same
order as ``find_label_issues(..., filter_by="confident_learning", return_indices_ranked_by="normalized_margin")`` of
cleanlab.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
_ABOUT = 1e-6
"""Probabilities that differ by no more are taken as equal."""


@dataclass(frozen=True)
class Suspects:
    """Rows whose label is probably wrong, the surest first.

    Attributes:
        rows: Their positions, ``[suspects]``.
        likely: The likeliest label of each, by number, ``[suspects]``.
        confidence: Its probability, ``[suspects]``.
        margin: Probability of the given label minus that of the likeliest, -1 to 0, ``[suspects]``; it ranks them.
    """

    rows: Numbers
    likely: Numbers
    confidence: Floats
    margin: Floats

    def __len__(self) -> int:
        return len(self.rows)


def find_suspects(probabilities: Floats, given: Numbers) -> Suspects:
    """The rows whose label is probably wrong.

    Args:
        probabilities: Of a model that was not fitted on the row, ``[rows, labels]``.
        given: The label that each row bears, by number, ``[rows]``.
    """
    rows, labels = probabilities.shape
    thresholds = np.full(labels, 2.0)  # a label without a row is never above it
    for label in np.unique(given):
        thresholds[label] = max(probabilities[given == label, label].mean(), 2 * _ABOUT)
    above = probabilities >= thresholds - _ABOUT
    likeliest = probabilities.argmax(axis=1)
    confident = np.where(above.sum(axis=1) > 1, likeliest, above.argmax(axis=1))
    favoured = probabilities.copy()
    favoured[np.arange(rows), given] += _ABOUT
    found = np.flatnonzero(above.any(axis=1) & (confident != given) & (favoured.argmax(axis=1) != given))
    margin = probabilities[found, given[found]] - probabilities[found, likeliest[found]]
    order = np.argsort(margin, kind="stable")
    found = found[order]
    return Suspects(
        found.astype(np.int64), likeliest[found].astype(np.int64), probabilities[found, likeliest[found]], margin[order]
    )
