"""What the answers at an operating point are worth, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunebook.families.image_classification.metrics.operating import OperatingPoint, answers
from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.intervals import Interval, Score
from tunebook.statistics.shares import Share, share_intervals

ABSENT = {
    "sensitivity": "no answered row has the finding",
    "specificity": "no answered row is without the finding",
    "ppv": "no row was answered positive",
    "npv": "no row was answered negative",
    "answered": "there are no rows",
}


@dataclass(frozen=True)
class PointScores:
    """The answers at one operating point; rows without an answer count in `answered` alone."""

    point: OperatingPoint
    sensitivity: Score
    """True positive rate: the share of the rows with the finding that were predicted positive."""
    specificity: Score
    """True negative rate: the share of the rows without it that were predicted negative."""
    ppv: Score
    """Share of the positive answers that are right: it holds for as many rows with the finding as here."""
    npv: Score
    """Share of the negative answers that are right."""
    answered: Score
    """Share of the rows that were given an answer."""


def operating_scores(
    points: Sequence[OperatingPoint],
    predictions: FindingPredictions,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> list[PointScores]:
    """Score each point on rows that it was not chosen on.

    Every score is a share, and its `n` the rows that it is taken of. The interval is Wilson's; where there are
    groups whole groups are resampled, and the interval also covers Wilson's, of as many rows as there are
    groups where these are few or all resamples are alike.
    """
    table = []
    for point in points:
        column = predictions.findings.index(point.finding)
        shares = _shares(predictions.target[:, column] == 1, answers(point, predictions.probabilities[:, column]))
        intervals = share_intervals(list(shares.values()), predictions.groups, confidence, resamples, seed)
        scores = {
            name: _share_score(name, share, interval, predictions.groups is not None, confidence)
            for (name, share), interval in zip(shares.items(), intervals, strict=True)
        }
        table.append(PointScores(point, **scores))
    return table


def _shares(present: NDArray[np.bool_], answer: NDArray[np.int8]) -> Mapping[str, Share]:
    positive, negative = answer == 1, answer == 0
    answered = positive | negative
    return {
        "sensitivity": (positive & present, answered & present),
        "specificity": (negative & ~present, answered & ~present),
        "ppv": (positive & present, positive),
        "npv": (negative & ~present, negative),
        "answered": (answered, np.ones(len(answer), dtype=bool)),
    }


def _share_score(name: str, share: Share, interval: Interval, grouped: bool, confidence: float) -> Score:
    hits, n = int(share[0].sum()), int(share[1].sum())
    few = "too few groups for an interval" if np.isnan(interval[0]) else None
    return Score(
        name,
        hits / n if n else float("nan"),
        *interval,
        n=n,
        confidence=confidence,
        method="group bootstrap, at least Wilson's" if grouped else "wilson",
        reason=few if n else ABSENT[name],
    )
