"""The files of evidence that a run leaves: metrics.json, and predictions.csv of labels or of written answers.

Each is written beside its place and renamed, so that a file with that name is always whole.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.errors import UserError
from tunebook.files import written_whole
from tunebook.statistics.difference import Difference
from tunebook.statistics.intervals import Score
from tunebook.statistics.label_scores import LabelScores
from tunebook.statistics.predictions import Predictions

Decide = Callable[[NDArray[np.float64]], NDArray[np.int64]]


def write_metrics(
    path: Path,
    scores: Sequence[Score],
    baselines: Mapping[str, Sequence[Score]],
    per_class: Sequence[LabelScores] = (),
    differences: Mapping[str, Mapping[str, Difference]] | None = None,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Write every score with its interval, its n and how the interval was made.

    The file has the keys `test` (metric -> score), `baselines` (baseline -> metric -> score), `differences`
    (baseline -> metric -> tuned minus baseline) and `per_class` (label -> n, precision, recall, f1). What is
    undefined is null, with a `reason`. ``more`` adds keys of a family's own.
    """
    content: dict[str, Any] = {
        "test": by_name(scores),
        "baselines": {name: by_name(each) for name, each in baselines.items()},
        "differences": {
            name: {metric: asdict(difference) for metric, difference in each.items()}
            for name, each in (differences or {}).items()
        },
        "per_class": {row.label: {"n": row.n, **by_name([row.precision, row.recall, row.f1])} for row in per_class},
    }
    with written_whole(path) as file:
        json.dump(without_nan({**content, **(more or {})}), file, indent=2, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write one line a row: file, line, text, truth, prediction and `probability_<label>` for each label.

    The file is data for programs: a text that begins with `=`, `+`, `-` or `@` stays as it is, which a
    spreadsheet would take for a formula. Import the column as text there.
    """
    labels = predictions.labels
    header = ["file", "line", "text", "truth", "prediction", *(f"probability_{label}" for label in labels)]
    with written_whole(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for i in range(len(predictions)):
            identity = [predictions.files[i], predictions.lines[i], predictions.texts[i]]
            answer = [labels[predictions.target[i]], labels[predictions.predicted[i]]]
            writer.writerow([*identity, *answer, *map(show_probability, predictions.probabilities[i])])


def show_probability(probability: float) -> str:
    """A probability so that a metric of it can be computed again: one near 0 must not be written as 0."""
    return f"{probability:.9g}"


def likeliest(probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """The likeliest label of each row."""
    best: NDArray[np.int64] = probabilities.argmax(axis=1).astype(np.int64)
    return best


@contextmanager
def lines_of(path: Path) -> Iterator[list[dict[str, str]]]:
    """The lines of a CSV file that a run wrote; what is wrong with their values is wrong with the file.

    Raises:
        UserError: The file is gone, cut or changed.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            yield list(csv.DictReader(stream))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise UserError(
            f"A file of a finished run is damaged: {type(error).__name__}: {' '.join(str(error).split())[:100]}",
            code="run.damaged-file",
            where=str(path),
            fix="restore it, or repeat the run",
        ) from error


def read_predictions(path: Path, rows: Predictions, decide: Decide = likeliest) -> Predictions:
    """Read back what `write_predictions` wrote, or an image classifier's `predictions.csv`.

    Args:
        path: The file.
        rows: The same rows with their truth, however they are answered there.
        decide: Makes answers `[rows]` of probabilities where the file has none: an image classifier may abstain.

    Raises:
        UserError: The file is about other rows or labels, or damaged.
    """
    with lines_of(path) as found:
        return _answered(found, path, rows, decide)


def _answered(found: Sequence[Mapping[str, str]], path: Path, rows: Predictions, decide: Decide) -> Predictions:
    places = [(line["file"], int(line["line"])) for line in found]
    columns = [f"probability_{label}" for label in rows.labels]
    if places != list(zip(rows.files, rows.lines, strict=True)) or not all(c in (found or [{}])[0] for c in columns):
        raise UserError(
            "These predictions are about other rows or labels.",
            code="run.other-rows",
            where=str(path),
            fix="repeat the run",
        )
    probabilities = np.array([[float(line[column]) for column in columns] for line in found])
    if rows.multilabel:
        named = [set(line["prediction"].split("; ")) for line in found]
        flags = [[int(label in names) for label in rows.labels] for names in named]
        return replace(rows, probabilities=probabilities, predicted=np.array(flags, dtype=np.int64))
    index = {label: number for number, label in enumerate(rows.labels)}
    decided = decide(probabilities.reshape(len(found), len(columns)))
    answered = [index.get(line["prediction"], int(own)) for line, own in zip(found, decided, strict=True)]
    return replace(rows, probabilities=probabilities, predicted=np.array(answered, dtype=np.int64))


def by_name(scores: Sequence[Score]) -> dict[str, dict[str, Any]]:
    """Key scores by name, and leave the name and an empty reason out of the values."""
    left_out = ("name", "reason")
    return {
        score.name: {key: value for key, value in asdict(score).items() if key not in left_out}
        | ({"reason": score.reason} if score.reason else {})
        for score in scores
    }


def without_nan(value: Any) -> Any:
    """Replace nan and infinities, which JSON does not have, by None."""
    if isinstance(value, Mapping):
        return {key: without_nan(each) for key, each in value.items()}
    if isinstance(value, list):
        return [without_nan(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
