"""One temperature for all logits, so that probabilities are as often right as they say (Guo et al., 2017)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

LOWEST, HIGHEST = 0.05, 20.0


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


def undone(probabilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """The softmax probabilities `[rows, outputs]` that there would be without a temperature."""
    logits = np.log(probabilities.clip(np.finfo(np.float32).tiny)) * temperature
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    before: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return before


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
