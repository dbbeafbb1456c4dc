"""The report of a classifier: what tuning bought, how surely, and where the model is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tunebook.report import figures
from tunebook.report.report import Cell, Figure, Report, Section, Table, Text
from tunebook.report.tables import facts_tables, scores_table
from tunebook.report.verdicts import Differences, verdict, with_interval
from tunebook.statistics.calibration import calibration_score
from tunebook.statistics.intervals import Score
from tunebook.statistics.label_scores import LabelScores
from tunebook.statistics.predictions import Predictions

Baselines = Mapping[str, tuple[Sequence[Score], Predictions]]
MISTAKES, EXCERPT = 15, 300


def classification_report(
    title: str,
    predictions: Predictions,
    scores: Sequence[Score],
    baselines: Baselines,
    *,
    watch: str,
    differences: Differences | None = None,
    per_class: Sequence[LabelScores] = (),
    history: Sequence[Mapping[str, Any]] = (),
    split_counts: Mapping[str, Sequence[int]] | None = None,
    data_facts: Mapping[str, str] | None = None,
    config_facts: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    subtitle: str = "",
    resamples: int = 1000,
    seed: int = 0,
    name: str = "tuned",
) -> Report:
    """Put the evidence about a classifier together.

    Args:
        title: Name of the recipe.
        predictions: The model on the test rows.
        scores: Its scores.
        baselines: Baseline name ("majority", "zero-shot" ...) -> its scores and predictions on the same rows.
        watch: Name of the metric that the verdict speaks of.
        differences: Baseline name -> metric -> model minus baseline.
        per_class: Scores of each label.
        history: Rows for `figures.learning_curve`.
        split_counts: Split name -> rows of each label `[labels]`.
        data_facts: Rows read, kept, rejected, dropped, truncated ...: what -> how many.
        config_facts: Config key -> value.
        notes: Anything a reader must know, one paragraph each.
        subtitle: Model, adaptation, time: one line.
        resamples: Bootstrap resamples behind the calibration error's interval.
        seed: Seed of these resamples.
        name: What the model is called.
    """
    others = {other: each for other, (each, _) in baselines.items()}
    models = {name: scores, **others}
    sections: list[Section] = [scores_table(models)]
    if any(score.defined for score in scores):
        sections.append(Figure("Scores compared with baselines", figures.scores_with_intervals(models)))
    if notes:
        sections.append(Text("Notes", notes))
    if per_class:
        sections.append(_label_table(per_class))
    sections.append(
        Figure(
            "Confusion matrix",
            figures.confusion_matrix(predictions.confusion(), predictions.labels),
            "Rows are the truth, columns the answers; colour and per cent are shares of the row.",
        )
    )
    if len(predictions):
        sections += [_confidence(predictions, resamples, seed), _mistakes(predictions)]
    if history:
        sections.append(Figure("Learning curve", figures.learning_curve(history)))
    if split_counts:
        sections.append(_splits_table(predictions.labels, split_counts))
    sections += facts_tables(data_facts, config_facts)
    return Report(title, subtitle, verdict(scores, others, differences or {}, watch), sections)


def _label_table(per_class: Sequence[LabelScores]) -> Table:
    rows: list[list[Cell]] = [[row.label, row.n, row.precision, row.recall, row.f1] for row in per_class]
    return Table("Label by label", ["label", "test rows", "precision", "recall", "F1"], rows)


def _confidence(predictions: Predictions, resamples: int, seed: int) -> Figure:
    error = calibration_score(predictions, resamples=resamples, seed=seed)
    return Figure(
        "Confidence",
        figures.confidence(predictions),
        f"Below the dashed line the model is overconfident. Expected calibration error {with_interval(error)}.",
    )


def _mistakes(predictions: Predictions) -> Section:
    """List the most confident wrong answers."""
    wrong = np.flatnonzero(predictions.predicted != predictions.target)
    if not len(wrong):
        return Text("Worst mistakes", [f"None of the {len(predictions)} test rows was misclassified."])
    worst = wrong[np.argsort(-predictions.confidence()[wrong], kind="stable")][:MISTAKES]
    rows: list[list[Cell]] = [
        [
            f"{predictions.files[i]}:{predictions.lines[i]}",
            _excerpt(predictions.texts[i]),
            predictions.labels[predictions.target[i]],
            predictions.labels[predictions.predicted[i]],
            float(predictions.confidence()[i]),
        ]
        for i in worst
    ]
    note = f"The {len(rows)} of {len(wrong)} most confident wrong answers."
    return Table("Worst mistakes", ["row", "text", "truth", "predicted", "probability"], rows, note)


def _excerpt(text: str) -> str:
    return text if len(text) <= EXCERPT else text[: EXCERPT - 1].rstrip() + "…"


def _splits_table(labels: Sequence[str], split_counts: Mapping[str, Sequence[int]]) -> Table:
    counts = {split: [int(count) for count in each] for split, each in split_counts.items()}
    rows: list[list[Cell]] = [[label, *(each[i] for each in counts.values())] for i, label in enumerate(labels)]
    total: list[Cell] = ["all", *(sum(each) for each in counts.values())]
    return Table("Rows of each label", ["label", *counts], [*rows, total])
