"""The report of a model of aspects: how well it knows each, what it takes for what, and its most confident mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tunebook.data.batch import IGNORE_INDEX
from tunebook.data.pairs import whole_texts
from tunebook.data.personal import excerpt
from tunebook.data.rows import Rows
from tunebook.families.text_aspects.measures import matrices
from tunebook.families.text_aspects.options import TextAspectsConfig
from tunebook.families.text_aspects.predictor import AspectAnswers
from tunebook.report.figures import confusion_matrix
from tunebook.report.report import Cell, Figure, Section, Table
from tunebook.statistics.intervals import Score

WORST, EXCERPT = 15, 300
MOST_MATRICES = 12
"""Most confusion matrices drawn: those of the aspects that have most mistakes."""

Scores = Mapping[str, Mapping[str, Sequence[Score]]]


def aspect_sections(
    rows: Rows, truth: NDArray[np.int64], answers: AspectAnswers, options: TextAspectsConfig, scores: Scores
) -> list[Section]:
    """What the page shows besides the scores of all aspects together.

    Args:
        rows: The test rows.
        truth: Their values, ``[rows, aspects]``.
        answers: The model's.
        options: Name the aspects and values.
        scores: Aspect -> model -> its scores, the model's own first.
    """
    if not len(rows):
        return []
    return [
        _aspects(truth, options, scores),
        *_matrices(truth, answers, options),
        _mistakes(rows, truth, answers, options),
    ]


def _aspects(truth: NDArray[np.int64], options: TextAspectsConfig, scores: Scores) -> Table:
    known = (truth != IGNORE_INDEX).sum(axis=0)
    mentioned = (truth > 0).sum(axis=0)
    baselines = list(next(iter(scores.values())))[1:]
    table: list[list[Cell]] = []
    for i, (aspect, models) in enumerate(scores.items()):
        own, *others = models.values()
        table.append([aspect, int(known[i]), int(mentioned[i]), *own, *(each[0] for each in others)])
    heads = ["macro F1", "accuracy", "F1 of mentioned", "polarity macro F1"]
    note = (
        f"Mentioned: any value but {options.values[0]!r}. Polarity: the other values, among the rows that mention the "
        "aspect; a mention that is missed counts as wrong. Rows whose value is unknown are left out."
    )
    heads += [f"macro F1, {name}" for name in baselines]
    return Table("Aspects", ["aspect", "rows", "mentioned", *heads], table, note)


def _matrices(truth: NDArray[np.int64], answers: AspectAnswers, options: TextAspectsConfig) -> list[Figure]:
    found = matrices(truth, answers.predicted, len(options.values))
    wrong = np.array([matrix.sum() - np.trace(matrix) for matrix in found])
    shown = np.sort(np.argsort(-wrong, kind="stable")[:MOST_MATRICES])
    left_out = f" Of {len(found)} aspects the {len(shown)} with most mistakes." if len(shown) < len(found) else ""
    return [
        Figure(
            f"Confusion matrix: {options.aspects[i]}",
            confusion_matrix(found[i], options.values, f"confusion-matrix-{i}"),
            f"Truth down, prediction across; counts, and shares of the row.{left_out}",
        )
        for i in shown.tolist()
    ]


def _mistakes(rows: Rows, truth: NDArray[np.int64], answers: AspectAnswers, options: TextAspectsConfig) -> Table:
    """List the wrong answers that it was most confident of."""
    wrong = (truth != answers.predicted) & (truth != IGNORE_INDEX)
    places = np.argwhere(wrong)
    confident = np.argsort(-answers.probability[wrong], kind="stable")[:WORST]
    texts = whole_texts(rows)
    table: list[list[Cell]] = [
        [
            rows.where(row),
            excerpt(texts[row], EXCERPT),
            options.aspects[i],
            options.values[truth[row, i]],
            options.values[answers.predicted[row, i]],
            float(answers.probability[row, i]),
        ]
        for row, i in places[confident].tolist()
    ]
    known = int((truth != IGNORE_INDEX).sum())
    note = f"The {len(table)} most confident of {len(places)} wrong answers, of {known} in all."
    return Table("Most confident mistakes", ["row", "text", "aspect", "true", "predicted", "probability"], table, note)
