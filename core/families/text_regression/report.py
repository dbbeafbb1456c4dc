"""The report of a model of numbers: what tuning bought, how surely, and where the model is far off."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tunebook.data.personal import excerpt
from tunebook.families.text_regression.figures import MOST_POINTS, residuals
from tunebook.report.report import Cell, Figure, Section, Table
from tunebook.statistics.numbers import NumberPredictions

WORST, EXCERPT = 15, 300


def regression_sections(predictions: NumberPredictions) -> list[Section]:
    """What the page of a model of numbers shows besides its scores on the test rows."""
    return [_residuals(predictions), _worst(predictions)] if len(predictions) else []


def _residuals(predictions: NumberPredictions) -> Figure:
    rows = len(predictions)
    shown = f"{MOST_POINTS} of {rows} test rows are drawn. " if rows > MOST_POINTS else ""
    note = (
        f"{shown}Left: on the dashed line predictions are exact; a flatter cloud means predictions shrink to the mean. "
        "Right: residuals that widen or bend show where the model is less reliable."
    )
    return Figure("Residuals", residuals(predictions), note)


def _worst(predictions: NumberPredictions) -> Table:
    """List the answers that are farthest off."""
    errors = predictions.predicted - predictions.target
    farthest = np.argsort(-abs(errors), kind="stable")[:WORST]
    rows: list[list[Cell]] = [
        [
            f"{predictions.files[i]}:{predictions.lines[i]}",
            excerpt(predictions.texts[i], EXCERPT),
            float(predictions.target[i]),
            float(predictions.predicted[i]),
            float(errors[i]),
        ]
        for i in farthest
    ]
    note = f"The {len(rows)} of {len(predictions)} answers that are farthest off."
    return Table("Worst answers", ["row", "text", "true", "predicted", "off by"], rows, note)


def splits_table(split_counts: Mapping[str, Mapping[str, float]]) -> Table:
    """Rows, mean, deviation, least and greatest of the numbers of each split."""
    names = list(next(iter(split_counts.values())))
    rows: list[list[Cell]] = [[name, *(each[name] for each in split_counts.values())] for name in names]
    return Table("The truth in each split", ["", *split_counts], rows)
