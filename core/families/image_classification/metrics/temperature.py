"""One temperature for all logits, so that probabilities are as often right as they say (Guo et al., 2017)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq

from tunebook.training.head import Head
from tunebook.training.softmax_head import activation_of

LOWEST, HIGHEST = 0.05, 20.0
GRID, GRIDS = 33, 6
TINY = 1e-12
"""A probability that a head rounds to 0 still has a logarithm."""


@dataclass(frozen=True)
class Temperature:
    """What the logits are divided by; above 1 the model was too sure of itself."""

    value: float
    note: str | None = None
    """Why no temperature within the bounds is best; None in the usual case."""


def fit_temperature(logits: NDArray[np.float64], target: NDArray[Any], multilabel: bool) -> Temperature:
    """Find the temperature from 0.05 to 20 with the lowest negative log-likelihood on validation rows.

    The likelihood is convex in 1 / temperature, so its slope has one root (Brent, 1973).

    Args:
        logits: `[rows, outputs]`.
        target: The true output of each row `[rows]`; or, if multilabel, 1 for every output that is true, else 0,
            `[rows, outputs]`.
        multilabel: Whether each output has a sigmoid of its own, rather than all one softmax.

    Returns:
        The temperature. Where the slope has no root it is the bound with the higher likelihood, or 1 where the
        likelihood is the same everywhere, with a note: such a temperature says more of the rows than of the
        model.
    """
    wide = np.asarray(logits, dtype=np.float64)
    truth = np.asarray(target)
    if not len(wide):
        return Temperature(1.0, "there are no rows to fit the temperature on")
    hits = truth.astype(np.float64) if multilabel else np.eye(wide.shape[1])[truth]
    at_low, at_high = (_slope(wide, hits, 1 / bound, multilabel) for bound in (LOWEST, HIGHEST))
    if at_low == at_high == 0:
        return Temperature(1.0, "all logits are equal: every temperature gives the same likelihood")
    if at_low <= 0:  # the slope rises with 1 / temperature, and has not reached 0 where that is largest
        return Temperature(LOWEST, f"every row is right: the likelihood rises to the bound {LOWEST:g} and beyond")
    if at_high >= 0:
        return Temperature(
            HIGHEST,
            f"the logits mislead: the likelihood rises to the bound {HIGHEST:g} and beyond",
        )
    root = brentq(lambda log: _slope(wide, hits, math.exp(-log), multilabel), math.log(LOWEST), math.log(HIGHEST))
    return Temperature(math.exp(root))


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


def _slope(logits: NDArray[np.float64], hits: NDArray[np.float64], inverse: float, multilabel: bool) -> float:
    """Derivative of the summed negative log-likelihood with respect to 1 / temperature."""
    sharp = logits * inverse
    if multilabel:
        probabilities = 0.5 + 0.5 * np.tanh(sharp / 2)
    else:
        raised = np.exp(sharp - sharp.max(1, keepdims=True))
        probabilities = raised / raised.sum(1, keepdims=True)
    return float(((probabilities - hits) * logits).sum())


def scaled(logits: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Divide logits `[..., outputs]` by the temperature; the order of the rows' scores stays."""
    return logits / temperature
