from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tunebook.evaluation.findings.predictions import FindingPredictions
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


@pytest.fixture
def make_findings() -> Callable[..., FindingPredictions]:
    """Make predictions of findings that each rank their rows a little worse than the one before."""

    def make(
        n: int = 120, findings: int = 2, seed: int = 0, decimals: int = 9, patients: int | None = None
    ) -> FindingPredictions:
        random = np.random.default_rng(seed)
        groups = None if patients is None else random.integers(0, patients, n)
        target = (random.random((n, findings)) < 0.35).astype(np.int64)
        if groups is not None:  # a patient's rows mostly share their truth and the model's mistakes
            target = (random.random((patients, findings)) < 0.35).astype(np.int64)[groups]
        apart = np.linspace(2.0, 1.0, findings)
        noise = random.normal(size=(n, findings))
        if groups is not None:
            noise = 0.3 * noise + random.normal(size=(patients, findings))[groups]
        probabilities = np.round(1 / (1 + np.exp(1 - apart * target - noise)), decimals)
        return FindingPredictions(
            findings=tuple("abcdefgh"[:findings]),
            target=target,
            probabilities=probabilities,
            files=["rows.csv"] * n,
            lines=list(range(2, n + 2)),
            images=[f"{i}.png" for i in range(n)],
            groups=groups,
        )

    return make
