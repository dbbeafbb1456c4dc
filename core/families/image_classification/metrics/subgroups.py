"""How well findings are detected within each site, sex, device ... and where there are too few rows to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunebook.families.image_classification.metrics.operating import OperatingPoint
from tunebook.families.image_classification.metrics.operating_scores import operating_scores
from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.intervals import Score
from tunebook.statistics.ranking_scores import ranking_scores
from tunebook.statistics.subgroups import LEAST, hidden_below, members, rows_of


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
        for value, rows in members(values):
            table += _rows(column, value, rows_of(predictions, rows), chosen, least, confidence, resamples, seed)
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
                auroc=hidden_below(ranking[finding][0], least, "rows"),
                sensitivity=hidden_below(at.sensitivity, least, "answered rows with the finding") if at else None,
                specificity=hidden_below(at.specificity, least, "answered rows without the finding") if at else None,
            )
        )
    return table
