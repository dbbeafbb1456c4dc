"""The report of a classifier: what tuning bought, how surely, and where the model is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tunebook.data.personal import excerpt
from tunebook.report import figures
from tunebook.report.report import Cell, Figure, Section, Table, Text
from tunebook.report.verdicts import with_interval
from tunebook.statistics.calibration import calibration_score
from tunebook.statistics.label_scores import LabelScores
from tunebook.statistics.predictions import Predictions

MISTAKES, EXCERPT = 15, 300


def classification_sections(
    predictions: Predictions,
    per_class: Sequence[LabelScores],
    *,
    resamples: int = 1000,
    seed: int = 0,
    earlier: Predictions | None = None,
) -> list[Section]:
    """What the page of a classifier shows besides its scores.

    Args:
        predictions: The model on the test rows.
        per_class: Scores of each label.
        resamples: Bootstrap resamples behind the calibration error's interval.
        seed: Seed of these resamples.
        earlier: The same rows before the temperature; None where there is none.
    """
    sections: list[Section] = []
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
        sections += [_confidence(predictions, earlier, resamples, seed), _mistakes(predictions)]
    return sections


def _label_table(per_class: Sequence[LabelScores]) -> Table:
    rows: list[list[Cell]] = [[row.label, row.n, row.precision, row.recall, row.f1] for row in per_class]
    return Table("Label by label", ["label", "test rows", "precision", "recall", "F1"], rows)


def _confidence(predictions: Predictions, earlier: Predictions | None, resamples: int, seed: int) -> Figure:
    error = calibration_score(predictions, resamples=resamples, seed=seed)
    return Figure(
        "Confidence",
        figures.confidence(predictions, earlier),
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
            excerpt(predictions.texts[i], EXCERPT),
            predictions.labels[predictions.target[i]],
            predictions.labels[predictions.predicted[i]],
            float(predictions.confidence()[i]),
        ]
        for i in worst
    ]
    note = f"The {len(rows)} of {len(wrong)} most confident wrong answers."
    return Table("Worst mistakes", ["row", "text", "truth", "predicted", "probability"], rows, note)


def splits_table(labels: Sequence[str], split_counts: Mapping[str, Sequence[int]]) -> Table:
    """Rows of each label ``[labels]`` in each split."""
    counts = {split: [int(count) for count in each] for split, each in split_counts.items()}
    rows: list[list[Cell]] = [[label, *(each[i] for each in counts.values())] for i, label in enumerate(labels)]
    total: list[Cell] = ["all", *(sum(each) for each in counts.values())]
    return Table("Rows of each label", ["label", *counts], [*rows, total])
