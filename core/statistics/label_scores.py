"""Scores of each class."""

from __future__ import annotations

from dataclasses import dataclass

from tunebook.statistics.intervals import Score


@dataclass(frozen=True)
class LabelScores:
    """Precision, recall and F1 of one label, with intervals."""

    label: str
    n: int
    """Rows whose truth it is."""
    precision: Score
    recall: Score
    f1: Score
