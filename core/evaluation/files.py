"""The files of evidence that a run leaves: metrics.json and predictions.csv.

Each is written beside its place and renamed, so that a file with that name is always whole.
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from tunebook.errors import UserError
from tunebook.evaluation.compare import Difference
from tunebook.evaluation.intervals import Score
from tunebook.evaluation.predictions import Predictions
from tunebook.evaluation.scores import LabelScores


def write_metrics(
    path: Path,
    scores: Sequence[Score],
    baselines: Mapping[str, Sequence[Score]],
    per_class: Sequence[LabelScores] = (),
    differences: Mapping[str, Mapping[str, Difference]] | None = None,
) -> None:
    """Write every score with its interval, its n and how the interval was made.

    The file has the keys `test` (metric -> score), `baselines` (baseline -> metric -> score), `differences`
    (baseline -> metric -> tuned minus baseline) and `per_class` (label -> n, precision, recall, f1). What is
    undefined is null, with a `reason`.
    """
    content = {
        "test": _by_name(scores),
        "baselines": {name: _by_name(each) for name, each in baselines.items()},
        "differences": {
            name: {metric: asdict(difference) for metric, difference in each.items()}
            for name, each in (differences or {}).items()
        },
        "per_class": {
            row.label: {"n": row.n, **_by_name([row.precision, row.recall, row.f1])} for row in per_class
        },
    }
    with written_whole(path) as file:
        json.dump(_without_nan(content), file, indent=2, ensure_ascii=False, allow_nan=False)
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
            writer.writerow([*identity, *answer, *(f"{p:.6f}" for p in predictions.probabilities[i])])


@contextmanager
def written_whole(path: Path) -> Iterator[IO[str]]:
    """Open a UTF-8 file that takes its name only when all of it is on disk; nothing is left on failure.

    Raises:
        UserError: The folder cannot be written or the disk is full.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("x", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        raise UserError(
            f"{path.name} cannot be written: {error.strerror or error}",
            where=str(path.parent),
            mend="free some space or choose a folder you may write to: run_dir=<folder>",
        ) from error
    finally:
        beside.unlink(missing_ok=True)


def _by_name(scores: Sequence[Score]) -> dict[str, dict[str, Any]]:
    """Key scores by name, and leave the name and an empty reason out of the values."""
    left_out = ("name", "reason")
    return {
        score.name: {key: value for key, value in asdict(score).items() if key not in left_out}
        | ({"reason": score.reason} if score.reason else {})
        for score in scores
    }


def _without_nan(value: Any) -> Any:
    """Replace nan and infinities, which JSON does not have, by None."""
    if isinstance(value, Mapping):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
