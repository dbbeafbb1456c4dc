"""The report of a model that puts several labels on a text: label by label, rows without any, and where it is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tunebook.data.personal import excerpt
from tunebook.families.text_labels.columns import in_words
from tunebook.families.text_labels.figures import f1_figure
from tunebook.families.text_labels.scores import rankings
from tunebook.families.text_labels.thresholds import Chosen
from tunebook.report.finding_curves import pr_figure
from tunebook.report.report import Cell, Figure, Section, Table, Text
from tunebook.statistics.intervals import Score
from tunebook.statistics.label_scores import LabelScores
from tunebook.statistics.predictions import Predictions

MISTAKES, EXCERPT = 15, 300


def labels_sections(
    predictions: Predictions,
    by_label: Sequence[LabelScores],
    precision: Mapping[str, Score],
    none: Mapping[str, Score],
    chosen: Chosen | None,
) -> list[Section]:
    """What the page shows besides the scores of all labels together.

    Args:
        predictions: The model on the test rows.
        by_label: Precision, recall and F1 of each label.
        precision: Average precision of each label.
        none: What becomes of rows without any label.
        chosen: The thresholds; None where the head decides by a rule of its own.
    """
    sections: list[Section] = [_label_table(by_label, precision, chosen)]
    if len(predictions):
        sections += [
            Figure(
                "F1 of each label", f1_figure(by_label), "With its interval; a label without one has no value here."
            ),
            Figure(
                "Precision and recall",
                pr_figure(rankings(predictions), "Precision and recall", ("recall", "precision")),
                "At every threshold; the one that decides is in the table.",
            ),
            _none_table(predictions, none),
            _mistakes(predictions, chosen),
        ]
    return sections


def _label_table(by_label: Sequence[LabelScores], precision: Mapping[str, Score], chosen: Chosen | None) -> Table:
    rows: list[list[Cell]] = []
    for row in by_label:
        threshold = None if chosen is None else chosen.thresholds[row.label]
        rows.append([row.label, row.n, threshold, row.precision, row.recall, row.f1, precision[row.label]])
    columns = ["label", "test rows", "threshold", "precision", "recall", "F1", "average precision"]
    note = "The head decides by a rule of its own, without thresholds."
    if chosen is not None:
        note = "A label is given from its threshold on, which was chosen on the validation rows. "
        note += " ".join(f"{each[:1].upper()}{each[1:]}." for each in chosen.notes)
    return Table("Label by label", columns, rows, note.strip())


def _none_table(predictions: Predictions, none: Mapping[str, Score]) -> Table:
    given, true = (int((~(part == 1).any(axis=1)).sum()) for part in (predictions.predicted, predictions.target))
    rows: list[list[Cell]] = [
        ["rows without any label, of all", true, None],
        ["rows that get none, of all", given, none["none_rate"]],
        ["of rows without any label, those that get none", none["none_recall"].n, none["none_recall"]],
        ["of rows that get none, those without any label", none["none_precision"].n, none["none_precision"]],
    ]
    return Table("Rows without any label", ["what", "rows", "share"], rows)


def _mistakes(predictions: Predictions, chosen: Chosen | None) -> Section:
    """List the rows with the surest wrong answer about some label."""
    wrong = predictions.predicted != predictions.target
    rows = np.flatnonzero(wrong.any(axis=1))
    if not len(rows):
        return Text("Worst mistakes", [f"All labels of all {len(predictions)} test rows are right."])
    edges = np.array([0.5 if chosen is None else chosen.thresholds[label] for label in predictions.labels])
    off = np.where(wrong, abs(predictions.probabilities - edges), 0.0).max(axis=1)
    worst = rows[np.argsort(-off[rows], kind="stable")][:MISTAKES]
    cells: list[list[Cell]] = [
        [
            f"{predictions.files[i]}:{predictions.lines[i]}",
            excerpt(predictions.texts[i], EXCERPT),
            in_words(predictions.target[i], predictions.labels),
            in_words(predictions.predicted[i], predictions.labels),
        ]
        for i in worst
    ]
    note = (
        f"The {len(cells)} of {len(rows)} rows with a wrong label whose probability is farthest beyond its threshold."
    )
    return Table("Worst mistakes", ["row", "text", "truth", "predicted"], cells, note)
