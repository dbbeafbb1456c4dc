"""Rows drawn by what a model says of them: torch is loaded."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.config.schema import Accelerator, TrainerConfig
from tunebook.data.content import Content
from tunebook.data.rows import Rows
from tunebook.progress import counting
from tunebook.statistics.diverse import badge
from tunebook.training.devices import choose_accelerator


def picked_rows(
    predictor: Any, rows: Rows, content: Content | None, count: int, seed: int, accelerator: str
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Positions of the rows to label, the label that the model gives each, and its probability, each ``[count]``.

    Args:
        predictor: A classifier whose family picks rows.
        rows: The pool.
        content: What they hold beside their text.
        count: How many.
        seed: Of the draws.
        accelerator: The device, by name.
    """
    device = choose_accelerator(TrainerConfig(accelerator=Accelerator[accelerator]))
    with counting("reading the pool", len(rows)) as advance:
        probabilities, features = predictor.rows_with_features(rows, content, device, advance)
    chosen = badge(probabilities, features, count, seed)
    found = probabilities[chosen]
    return chosen, found.argmax(axis=1), found.max(axis=1)
