from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tunebook.evaluation.predictions import Predictions


@pytest.fixture
def make_predictions() -> Callable[..., Predictions]:
    """Make predictions of a classifier that is right on about three rows of four."""

    def make(n: int = 80, labels: int = 3, seed: int = 0, truths: int | None = None) -> Predictions:
        random = np.random.default_rng(seed)
        target = random.integers(0, truths or labels, n)
        probabilities = random.dirichlet(np.ones(labels), n)
        probabilities[np.arange(n), target] += 0.4
        probabilities /= probabilities.sum(1, keepdims=True)
        return Predictions(
            labels=tuple("abcdefghij"[:labels]),
            target=target,
            probabilities=probabilities,
            predicted=probabilities.argmax(1),
            files=["rows.csv"] * n,
            lines=list(range(2, n + 2)),
            texts=[f"text {i}" for i in range(n)],
        )

    return make
