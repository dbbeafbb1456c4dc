"""Made-up predictions: what a metric is tried on before anything is trained, and what `verify` tries it on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunebook.statistics.predictions import Predictions


def made_up_predictions(labels: Sequence[str], rows: int, multilabel: bool = False, seed: int = 0) -> Predictions:
    """Predictions of a middling model, in which every label occurs and no two probabilities are equal.

    One answer in five is not the likeliest label, as of a head with a rule of its own; labels differ in how many rows
    they have and in how well they are told.

    Args:
        labels: Their names.
        rows: How many; at least as many as there are labels, and twice that where a row may have several.
        multilabel: Whether a row may have several labels.
        seed: Of the draws.
    """
    draw, count = np.random.default_rng(seed), len(labels)
    shares = np.arange(1, count + 1) / np.arange(1, count + 1).sum()
    sharp = np.linspace(0.5, 3.0, count)
    logits = draw.normal(size=(rows, count))
    if multilabel:
        target = (draw.random((rows, count)) < 0.2 + 0.5 * shares).astype(np.int64)
        target[:count], target[count : 2 * count] = np.eye(count, dtype=np.int64), 1 - np.eye(count, dtype=np.int64)
        probabilities = 1 / (1 + np.exp(-(logits + sharp * (target - 0.5))))
        predicted = (probabilities >= np.linspace(0.35, 0.65, count)).astype(np.int64)
    else:
        target = np.concatenate([np.arange(count), draw.choice(count, max(0, rows - count), p=shares)])
        logits[np.arange(rows), target] += sharp[target]
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        predicted = np.where(draw.random(rows) < 0.2, draw.integers(0, count, rows), probabilities.argmax(axis=1))
    places = list(range(rows))
    return Predictions(
        tuple(labels), target, probabilities, predicted, ["made up"] * rows, places, ["a made-up row"] * rows
    )
