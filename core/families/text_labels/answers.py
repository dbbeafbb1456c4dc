"""Rows with their labels, and what a model answers to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tunebook.data.columns import TEXT
from tunebook.data.pairs import pairs_of, whole_texts
from tunebook.data.rows import Rows
from tunebook.families.text_labels.columns import flags_of
from tunebook.families.text_labels.predictor import TextLabeller
from tunebook.progress import counting
from tunebook.statistics.predictions import Predictions


def unanswered(rows: Rows, labels: Sequence[str]) -> Predictions:
    """Rows with their truth, all answered with no label, to be answered."""
    shape = (len(rows), len(labels))
    return Predictions(
        labels=tuple(labels),
        target=flags_of(rows, labels),
        probabilities=np.zeros(shape),
        predicted=np.zeros(shape, dtype=np.int64),
        files=rows.texts("file"),
        lines=rows.lines,
        texts=whole_texts(rows),
        groups=rows.groups,
    )


def predict_rows(labeller: TextLabeller, rows: Rows, what: str, progress: bool, device: Any = None) -> Predictions:
    """Label checked rows that have a truth."""
    with counting(what, len(rows), progress) as advance:
        probabilities, predicted = labeller.predict(rows.texts(TEXT), device, advance, pairs_of(rows))
    return replace(unanswered(rows, labeller.labels), probabilities=probabilities, predicted=predicted)


def usual_labels(train: np.ndarray, like: Predictions) -> Predictions:
    """Answer every row with the labels that at least half of the training rows have, and believe in their shares.

    Args:
        train: Flags of the training rows, ``[rows, labels]``.
        like: Predictions on the same rows, for their truth and identity.
    """
    shares = np.tile(train.mean(axis=0), (len(like), 1))
    return replace(like, probabilities=shares, predicted=(shares >= 0.5).astype(np.int64))
