"""How far answers are off, as a picture."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from tunebook.report.svg import BLUE, FAINT, inline_svg
from tunebook.statistics.numbers import NumberPredictions

MOST_POINTS = 1500
"""Most rows drawn: a page with more circles is slow to open."""


def drawn_rows(predictions: NumberPredictions) -> np.ndarray:
    """The rows that are drawn, evenly through the file, ``[rows]``."""
    rows = len(predictions)
    return np.unique(np.linspace(0, rows - 1, min(rows, MOST_POINTS)).round().astype(np.int64))


def residuals(predictions: NumberPredictions) -> str:
    """Draw the answers over the truth (left), and how far they are off over the answers (right)."""
    rows = drawn_rows(predictions)
    target, predicted = predictions.target[rows], predictions.predicted[rows]
    spot = {"color": BLUE, "alpha": 0.45 if len(rows) < 300 else 0.25, "s": 16, "linewidths": 0}

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        ends = [float(min(target.min(), predicted.min())), float(max(target.max(), predicted.max()))]
        left.plot(ends, ends, color=FAINT, linestyle="--", linewidth=1, label="as true")
        left.scatter(target, predicted, **spot)
        left.set(title="Predicted and true", xlabel="true", ylabel="predicted")
        left.legend(loc="upper left")
        right.axhline(0.0, color=FAINT, linestyle="--", linewidth=1)
        right.scatter(predicted, predicted - target, **spot)
        right.set(title="Residuals", xlabel="predicted", ylabel="predicted minus true")

    return inline_svg("Residuals", "residuals", draw, 8.6, 3.8)
