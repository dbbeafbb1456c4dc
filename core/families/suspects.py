"""Training rows whose label is probably wrong: found, listed in a file and shown in the report; none is dropped."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.data.rows import Rows
from tunebook.errors import UserError
from tunebook.files import written_whole
from tunebook.models.out_of_fold import FOLDS, out_of_fold
from tunebook.report.files import show_probability
from tunebook.report.report import Cell, Section, Table, Text
from tunebook.statistics.suspects import Suspects, find_suspects

COLUMNS = ("file", "line", "label", "likely_label", "confidence", "margin")
TITLE = "Suspect labels"
SHOWN, EXCERPT = 15, 300


@dataclass(frozen=True)
class SuspectRows:
    """The suspects with what identifies them.

    Attributes:
        found: The suspects.
        labels: Label names by number.
        files: File of each suspect.
        lines: Line of each suspect in its file.
        given: The label that each bears.
        shown: What each says, or the path of its image.
        examined: Rows that were looked at.
    """

    found: Suspects
    labels: Sequence[str]
    files: Sequence[str]
    lines: Sequence[int]
    given: Sequence[str]
    shown: Sequence[str]
    examined: int

    @property
    def in_words(self) -> str:
        """How many there are."""
        return f"{len(self.found)} of {self.examined} training and validation labels are suspect"

    def write(self, path: Path) -> None:
        """Write one line a suspect, the surest first."""
        with written_whole(path) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for i in range(len(self.found)):
                numbers = (self.found.confidence[i], self.found.margin[i])
                names = [self.given[i], self.labels[self.found.likely[i]]]
                writer.writerow([self.files[i], self.lines[i], *names, *map(show_probability, numbers)])

    def section(self) -> Section:
        """The surest of them, for the report."""
        if not len(self.found):
            return Text(TITLE, [f"None of the {self.examined} training and validation labels is suspect."])
        rows: list[list[Cell]] = [
            [
                f"{self.files[i]}:{self.lines[i]}",
                _excerpt(self.shown[i]),
                self.given[i],
                self.labels[self.found.likely[i]],
                float(self.found.confidence[i]),
            ]
            for i in range(min(SHOWN, len(self.found)))
        ]
        note = (
            f"{self.in_words}, by a logistic regression on the features of the frozen backbone that was not fitted "
            f"on the row. The first {len(rows)}; suspects.csv has all. None was left out of training."
        )
        return Table(TITLE, ["row", "text or image", "label", "likely label", "probability"], rows, note)


def suspect_rows(
    parts: Sequence[Rows],
    targets: Sequence[NDArray[np.int64]],
    features: Callable[[], Sequence[NDArray[Any]]],
    labels: Sequence[str],
    shown: Callable[[Rows], list[str]],
    seed: int,
) -> tuple[SuspectRows | None, list[str]]:
    """The suspects among the rows of some splits, and notes on what was not looked at.

    Args:
        parts: The splits.
        targets: Label numbers of each, ``[rows]``.
        features: Computes those of each, ``[rows, features]``; it is not called where there are too few rows.
        labels: Label names by number.
        shown: What to show of the rows of a split.
        seed: Of the folds.
    """
    given = np.concatenate(targets)
    counts = np.bincount(given, minlength=len(labels))
    rare = [label for label, count in zip(labels, counts, strict=True) if 0 < count < FOLDS]
    examined = np.flatnonzero(counts[given] >= FOLDS)
    groups = None if parts[0].groups is None else np.concatenate([part.groups for part in parts])[examined]
    few = (counts >= FOLDS).sum() < 2 or (groups is not None and len(np.unique(groups)) < FOLDS)
    if few:
        return None, [f"no labels were examined: that takes {FOLDS} rows of each of two labels, or {FOLDS} groups"]
    try:
        found_features = np.concatenate(features())[examined]
    except UserError as error:
        return None, [f"no labels were examined: {error.what.rstrip('.')}"]
    probabilities = out_of_fold(found_features, given[examined], len(labels), seed, groups)
    found = find_suspects(probabilities, given[examined])
    places = [(file, line) for part in parts for file, line in zip(part.texts("file"), part.lines, strict=True)]
    texts = [text for part in parts for text in shown(part)]
    rows = examined[found.rows]
    notes = [f"labels with fewer than {FOLDS} rows were not examined: {', '.join(rare)}"] if rare else []
    return SuspectRows(
        found,
        labels,
        [places[row][0] for row in rows],
        [places[row][1] for row in rows],
        [labels[given[row]] for row in rows],
        [texts[row] for row in rows],
        len(examined),
    ), notes


def _excerpt(text: str) -> str:
    return text if len(text) <= EXCERPT else text[: EXCERPT - 1].rstrip() + "…"
