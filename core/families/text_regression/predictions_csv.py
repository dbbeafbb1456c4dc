"""predictions.csv of a model of numbers."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from tunebook.errors import UserError
from tunebook.files import written_whole
from tunebook.report.files import lines_of
from tunebook.statistics.numbers import NumberPredictions


def write_numbers(path: Path, predictions: NumberPredictions) -> None:
    """Write one line a row: file, line, text, truth and prediction, the numbers in full precision.

    The file is data for programs: a text that begins with `=`, `+`, `-` or `@` stays as it is, which a spreadsheet
    would take for a formula. Import the column as text there.
    """
    with written_whole(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "line", "text", "truth", "prediction"])
        for i in range(len(predictions)):
            identity = [predictions.files[i], predictions.lines[i], predictions.texts[i]]
            writer.writerow([*identity, repr(float(predictions.target[i])), repr(float(predictions.predicted[i]))])


def read_numbers(path: Path, rows: NumberPredictions) -> NumberPredictions:
    """Read back what `write_numbers` wrote.

    Args:
        path: The file.
        rows: The same rows with their truth, however they are answered there.

    Raises:
        UserError: The file is about other rows.
    """
    with lines_of(path) as found:
        places = [(line["file"], int(line["line"])) for line in found]
        predicted = np.array([float(line["prediction"]) for line in found])
    if places != list(zip(rows.files, rows.lines, strict=True)):
        raise UserError(
            "These predictions are about other rows.", code="run.other-rows", where=str(path), fix="repeat the run"
        )
    return replace(rows, predicted=predicted)
