"""Rows that a classifier is unsure of and that are unlike each other: BADGE (Ash et al. 2020, arXiv:1906.03671).

A row's gradient is that of the final layer's weights, were the answer right: ``(p - one-hot of the likeliest label)``
times what the layer takes, ``[labels * features]``. It is long where the model is unsure, and points elsewhere where
rows differ. Rows are drawn as k-means++ draws its centres (Arthur & Vassilvitskii 2007): each with a probability in
proportion to its squared distance from the nearest one so far. The gradients are never made: their products are
products of the two parts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def badge(probabilities: Floats, features: Floats, count: int, seed: int) -> NDArray[np.int64]:
    """Positions of the rows drawn, in order ``[count]``.

    Args:
        probabilities: What the classifier says of each row, ``[rows, labels]``.
        features: What its final layer takes, ``[rows, features]``.
        count: How many rows to draw, at most all.
        seed: Of the draws.
    """
    errors = probabilities.copy()
    errors[np.arange(len(errors)), probabilities.argmax(axis=1)] -= 1
    size = (errors**2).sum(axis=1) * (features**2).sum(axis=1)
    draw, left = np.random.default_rng(seed), np.ones(len(size), dtype=bool)
    drawn: list[int] = []
    far = np.full(len(size), np.inf)
    for _ in range(count):
        weights = np.where(left, far if drawn else size, 0.0)
        if not drawn:
            chosen = int(size.argmax())  # the longest gradient, as the authors' own code begins
        elif weights.sum() > 0:
            chosen = int(draw.choice(len(size), p=weights / weights.sum()))
        else:  # what is left is as one drawn before
            chosen = int(np.flatnonzero(left)[0])
        drawn.append(chosen)
        left[chosen] = False
        products = (errors @ errors[chosen]) * (features @ features[chosen])
        far = np.minimum(far, np.maximum(size + size[chosen] - 2 * products, 0.0))
        far[far < 1e-12 * max(size.max(), 1e-300)] = 0.0  # equal rows, but for rounding
    return np.array(drawn, dtype=np.int64)
