"""Logits of a known temperature."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, softmax


def simulated(temperature: float, multilabel: bool, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose probabilities are right once divided by the temperature."""
    random = np.random.default_rng(seed)
    true = random.normal(0, 2, (n, 4))
    if multilabel:
        return true * temperature, (random.random((n, 4)) < expit(true)).astype(int)
    cumulated = softmax(true, axis=1).cumsum(1)
    return true * temperature, (random.random((n, 1)) > cumulated).sum(1).clip(max=3)
