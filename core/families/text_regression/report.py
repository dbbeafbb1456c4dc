"""The report of a model of numbers: what tuning bought, how surely, and where the model is far off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tunebook.families.text_regression.figures import MOST_POINTS, residuals
from tunebook.report import figures
from tunebook.report.report import Cell, Figure, Report, Section, Table, Text
from tunebook.report.tables import facts_tables, scores_table
from tunebook.report.verdicts import Differences, verdict
from tunebook.statistics.intervals import Score
from tunebook.statistics.numbers import NumberPredictions

WORST, EXCERPT = 15, 300


def regression_report(
    title: str,
    predictions: NumberPredictions,
    models: Mapping[str, Sequence[Score]],
    *,
    watch: str,
    differences: Differences,
    history: Sequence[Mapping[str, Any]] = (),
    split_counts: Mapping[str, Mapping[str, float]] | None = None,
    data_facts: Mapping[str, str] | None = None,
    config_facts: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    subtitle: str = "",
) -> Report:
    """Put the evidence about a model of numbers together.

    Args:
        title: Name of the recipe.
        predictions: The model on the test rows.
        models: Model -> its scores on these rows; the first is the one that the page is about.
        watch: Name of the metric that the verdict speaks of.
        differences: Baseline -> metric -> model minus baseline.
        history: Rows for `figures.learning_curve`.
        split_counts: Split -> rows, mean, deviation, least and greatest of its numbers.
        data_facts: What -> how many.
        config_facts: Config key -> value.
        notes: Anything a reader must know, one paragraph each.
        subtitle: Model, adaptation, time: one line.
    """
    (_, scores), *others = models.items()
    sections: list[Section] = [scores_table(models)]
    if any(score.defined for score in scores):
        sections.append(Figure("Scores compared with baselines", figures.scores_with_intervals(models)))
    if notes:
        sections.append(Text("Notes", notes))
    if len(predictions):
        sections += [_residuals(predictions), _worst(predictions)]
    if history:
        sections.append(Figure("Learning curve", figures.learning_curve(history)))
    if split_counts:
        sections.append(_splits_table(split_counts))
    sections += facts_tables(data_facts, config_facts)
    return Report(title, subtitle, verdict(scores, dict(others), differences, watch), sections)


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
            _excerpt(predictions.texts[i]),
            float(predictions.target[i]),
            float(predictions.predicted[i]),
            float(errors[i]),
        ]
        for i in farthest
    ]
    note = f"The {len(rows)} of {len(predictions)} answers that are farthest off."
    return Table("Worst answers", ["row", "text", "true", "predicted", "off by"], rows, note)


def _excerpt(text: str) -> str:
    return text if len(text) <= EXCERPT else text[: EXCERPT - 1].rstrip() + "…"


def _splits_table(split_counts: Mapping[str, Mapping[str, float]]) -> Table:
    names = list(next(iter(split_counts.values())))
    rows: list[list[Cell]] = [[name, *(each[name] for each in split_counts.values())] for name in names]
    return Table("The truth in each split", ["", *split_counts], rows)
