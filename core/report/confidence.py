"""What a page shows of a model's probabilities: their calibration, and what is left without the least confident."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tunebook.report.report import Cell, Figure, Table, show_name
from tunebook.report.svg import BLUE, FAINT, INK, inline_svg
from tunebook.report.verdicts import with_interval
from tunebook.statistics.abstention import risk_coverage
from tunebook.statistics.intervals import Score
from tunebook.statistics.predictions import Predictions

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


def calibration_table(after: Sequence[Score], before: Sequence[Score] = (), note: str = "") -> Table:
    """The scores of probabilities, and those of the probabilities before the temperature where there is one."""
    rows: list[list[Cell]] = [[show_name(score.name), score] for score in after]
    columns = ["score (lower is better)", "test rows"]
    if before:
        rows = [[name, old, new] for (name, new), old in zip(rows, before, strict=True)]
        columns = ["score (lower is better)", "before the temperature", "with it"]
    return Table("Calibration", columns, rows, note)


def answered_table(below: float, answered: Sequence[Score], error: float, note: str = "") -> Table:
    """What is left if answers with a probability below the threshold are held back.

    Args:
        below: The threshold.
        answered: Of `answered_scores`.
        error: The share of wrong answers if all are given.
        note: How the threshold was chosen.
    """
    coverage, selective_error = answered
    columns = ["not sure below", "answered", "error among the answered", "error if all are answered"]
    return Table("Answers held back", columns, [[below, coverage, selective_error, error]], note)


def risk_coverage_figure(predictions: Predictions, area: Score, below: float | None = None) -> Figure:
    """The share of wrong answers over the share of rows answered, the most confident first; a dot is the threshold."""
    curve = risk_coverage(predictions)
    error = float((predictions.predicted != predictions.target).mean())

    def draw(figure: Drawing) -> None:
        axes = figure.add_subplot()
        axes.step(curve.x, curve.y, where="post", color=BLUE, linewidth=1.6, label="the most confident answers")
        axes.axhline(error, color=FAINT, linestyle="--", linewidth=1, label="all answers")
        given = 0 if below is None else int((curve.thresholds >= below).sum())
        if given:
            axes.plot(curve.x[given - 1], curve.y[given - 1], "o", color=INK, markersize=6, label="the threshold")
        axes.set(xlabel="share of rows answered", ylabel="error among them", xlim=(0, 1.02))
        axes.set_ylim(0, max(float(curve.y.max()), 0.02) * 1.08)
        axes.legend(loc="best")

    note = f"The lower the better. Area under the curve {with_interval(area)}."
    return Figure("Risk and coverage", inline_svg("Risk and coverage", "risk-coverage", draw, 5.6, 3.2), note)
