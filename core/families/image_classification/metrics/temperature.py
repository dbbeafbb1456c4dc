"""The temperature of a head that makes probabilities by a rule of its own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tunebook.statistics.temperature import HIGHEST, LOWEST, Temperature, fit_temperature, scaled
from tunebook.training.head import Head
from tunebook.training.softmax_head import activation_of

GRID, GRIDS = 33, 6
TINY = 1e-12
"""A probability that a head rounds to 0 still has a logarithm."""


def fit_head_temperature(head: Head, logits: NDArray[np.float64], target: NDArray[Any]) -> Temperature:
    """Find the temperature under which a head's probabilities fit validation rows best, as `fit_temperature`.

    The likelihood of a head with probabilities of its own need not be convex: a grid finds the best temperature, and
    is drawn closer around it.
    """
    activation = activation_of(head)
    if activation is not None or not len(logits):
        return fit_temperature(logits, target, activation == "sigmoid")
    low, high = math.log(LOWEST), math.log(HIGHEST)
    for turn in range(GRIDS):
        grid = np.linspace(low, high, GRID)
        losses = np.array([_surprise(head, logits, target, math.exp(point)) for point in grid])
        best = int(losses.argmin())
        if not turn and losses.max() - losses.min() < 1e-12:
            return Temperature(1.0, "all probabilities are equal: every temperature gives the same likelihood")
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, GRID - 1)]
    found = math.exp((low + high) / 2)
    for end in (LOWEST, HIGHEST):
        if abs(math.log(found / end)) < 1e-3:
            return Temperature(end, f"the likelihood rises to the bound {end:g} and beyond")
    return Temperature(found)


def _surprise(head: Head, logits: NDArray[np.float64], target: NDArray[Any], temperature: float) -> float:
    """Mean negative log-likelihood of the truth under a head's probabilities at a temperature."""
    probabilities = head.probabilities(torch.from_numpy(scaled(logits, temperature))).double().numpy()
    likelihood = np.where(target == 1, probabilities, 1 - probabilities) if head.multilabel else probabilities
    right = likelihood if head.multilabel else likelihood[np.arange(len(target)), target]
    return float(-np.log(right.clip(TINY)).mean())
