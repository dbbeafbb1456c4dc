"""predictions.csv of a model that puts several labels on a text."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from tunebook.errors import UserError
from tunebook.families.text_labels.columns import in_words
from tunebook.files import written_whole
from tunebook.report.files import lines_of, show_probability
from tunebook.statistics.predictions import Predictions


def write_labels(path: Path, predictions: Predictions) -> None:
    """Write one line a row: file, line, text, truth and prediction in words, and three columns for each label.

    These are ``truth_<label>`` and ``prediction_<label>``, 1 or 0, and ``probability_<label>``. The file is data for
    programs: a text that begins with `=`, `+`, `-` or `@` stays as it is, which a spreadsheet would take for a formula.
    """
    labels = predictions.labels
    each = [f"{what}_{label}" for label in labels for what in ("truth", "prediction", "probability")]
    with written_whole(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "line", "text", "truth", "prediction", *each])
        for i in range(len(predictions)):
            identity = [predictions.files[i], predictions.lines[i], predictions.texts[i]]
            truth, answer = predictions.target[i], predictions.predicted[i]
            cells = [
                cell
                for one in zip(truth, answer, map(show_probability, predictions.probabilities[i]), strict=True)
                for cell in one
            ]
            writer.writerow([*identity, in_words(truth, labels), in_words(answer, labels), *cells])


def read_labels(path: Path, rows: Predictions) -> Predictions:
    """Read back what `write_labels` wrote.

    Args:
        path: The file.
        rows: The same rows with their truth, however they are answered there.

    Raises:
        UserError: The file is about other rows or labels, or damaged.
    """
    with lines_of(path) as found:
        places = [(line["file"], int(line["line"])) for line in found]
        first = found[0] if found else {}
        if places != list(zip(rows.files, rows.lines, strict=True)) or any(
            f"prediction_{label}" not in first for label in rows.labels
        ):
            raise UserError(
                "These predictions are about other rows or labels.",
                code="run.other-rows",
                where=str(path),
                fix="repeat the run",
            )
        predicted = [[int(line[f"prediction_{label}"]) for label in rows.labels] for line in found]
        probabilities = [[float(line[f"probability_{label}"]) for label in rows.labels] for line in found]
    return replace(rows, predicted=np.array(predicted, dtype=np.int64), probabilities=np.array(probabilities))
