"""How well findings are detected within each site, sex, device ... and where there are too few rows to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.families.image_classification.metrics.operating import OperatingPoint
from tunebook.families.image_classification.metrics.operating_scores import operating_scores
from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.intervals import UNDEFINED, Score
from tunebook.statistics.ranking_scores import ranking_scores

LEAST = 20
NOT_GIVEN = "not given"


@dataclass(frozen=True)
class SubgroupRow:
    """One finding within one subgroup. A score of too few rows is hidden: nan, with the reason."""

    column: str
    value: str
    """Value of the column; "not given" where it is empty."""
    finding: str
    n: int
    positives: int
    """Rows that have the finding."""
    auroc: Score
    sensitivity: Score | None
    """At the finding's operating point; None without one."""
    specificity: Score | None


def subgroup_table(
    predictions: FindingPredictions,
    points: Sequence[OperatingPoint],
    least: int = LEAST,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> list[SubgroupRow]:
    """Score each finding in every subgroup: AUROC, and sensitivity and specificity at its operating point.

    Many subgroups are looked at, so that some differ by chance: the table claims no difference.

    Args:
        predictions: With `subgroups`; rows of any value, missing ones last.
        points: One for each finding at most.
        least: Scores of fewer rows than this are hidden: of any rows for AUROC, of answered rows with the
            finding for sensitivity, of answered rows without it for specificity.
        confidence: Coverage of the intervals.
        resamples: Bootstrap resamples.
        seed: Seed of the draws.

    Raises:
        ValueError: A finding has two operating points.
    """
    chosen = {point.finding: point for point in points}
    if len(chosen) < len(points):
        raise ValueError("give one operating point for each finding")
    table = []
    for column, values in predictions.subgroups.items():
        named = np.array([str(value) for value in values], dtype=object)
        for value in sorted(set(named), key=lambda name: (name == "", name)):
            part = rows_of(predictions, np.flatnonzero(named == value))
            table += _rows(column, value or NOT_GIVEN, part, chosen, least, confidence, resamples, seed)
    return table


def _rows(
    column: str,
    value: str,
    part: FindingPredictions,
    points: dict[str, OperatingPoint],
    least: int,
    confidence: float,
    resamples: int,
    seed: int,
) -> list[SubgroupRow]:
    ranking = ranking_scores(part, confidence, resamples, seed)
    answered = {
        scores.point.finding: scores
        for scores in operating_scores(list(points.values()), part, confidence, resamples, seed)
    }
    table = []
    for i, finding in enumerate(part.findings):
        at = answered.get(finding)
        table.append(
            SubgroupRow(
                column,
                value,
                finding,
                n=len(part),
                positives=int((part.target[:, i] == 1).sum()),
                auroc=_shown(ranking[finding][0], least, "rows"),
                sensitivity=_shown(at.sensitivity, least, "answered rows with the finding") if at else None,
                specificity=_shown(at.specificity, least, "answered rows without the finding") if at else None,
            )
        )
    return table


def _shown(score: Score, least: int, rows: str) -> Score:
    """Hide a score of too few rows."""
    if score.n >= least:
        return score
    nan, _ = UNDEFINED
    return replace(score, value=nan, low=nan, high=nan, reason=f"fewer than {least} {rows}")


def rows_of(predictions: FindingPredictions, rows: NDArray[np.int64]) -> FindingPredictions:
    """Take these row numbers `[n]` of every column."""

    def taken(column: Any) -> Any:
        return None if column is None else column[rows]

    return replace(
        predictions,
        target=predictions.target[rows],
        probabilities=predictions.probabilities[rows],
        files=[predictions.files[row] for row in rows],
        lines=[predictions.lines[row] for row in rows],
        images=[predictions.images[row] for row in rows],
        groups=taken(predictions.groups),
        subgroups={name: taken(column) for name, column in predictions.subgroups.items()},
    )
