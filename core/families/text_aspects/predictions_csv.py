"""predictions.csv of a model of aspects."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tunebook.data.batch import IGNORE_INDEX
from tunebook.data.pairs import whole_texts
from tunebook.data.rows import Rows
from tunebook.errors import UserError
from tunebook.families.text_aspects.columns import numbers_of
from tunebook.families.text_aspects.options import TextAspectsConfig
from tunebook.families.text_aspects.predictor import AspectAnswers
from tunebook.files import written_whole
from tunebook.report.files import show_probability


def write_aspects(
    path: Path, rows: Rows, truth: NDArray[np.int64], answers: AspectAnswers, options: TextAspectsConfig
) -> None:
    """Write one line a row: file, line, text, then of each aspect truth ("" if unknown), prediction, probability.

    The file is data for programs: a text that begins with `=`, `+`, `-` or `@` stays as it is, which a spreadsheet
    would take for a formula. Import the column as text there.
    """
    values = {IGNORE_INDEX: "", **dict(enumerate(options.values))}
    parts = [f"{what}_{aspect}" for aspect in options.aspects for what in ("truth", "prediction", "probability")]
    places = zip(rows.texts("file"), rows.lines, whole_texts(rows), strict=True)
    with written_whole(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "line", "text", *parts])
        for identity, true, predicted, probability in zip(
            places, truth.tolist(), answers.predicted.tolist(), answers.probability, strict=True
        ):
            cells: list[str] = []
            for one, other, share in zip(true, predicted, probability, strict=True):
                cells += [values[one], values[other], show_probability(float(share))]
            writer.writerow([*identity, *cells])


def read_aspects(
    lines: Sequence[Mapping[str, str]], options: TextAspectsConfig
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Truth and answers, ``[rows, aspects]`` each, of what `write_aspects` wrote.

    Raises:
        UserError: The lines hold other aspects or values.
    """
    try:
        truth, answers = (
            numbers_of([[line[f"{what}_{aspect}"] for line in lines] for aspect in options.aspects], options.values)
            for what in ("truth", "prediction")
        )
    except KeyError as error:
        raise UserError(
            f"The predictions of a finished run are about other aspects or values: {error}.",
            code="run.other-rows",
            where="predictions.csv",
            fix="repeat the run",
        ) from error
    return truth, answers
