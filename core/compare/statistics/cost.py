"""What an added point cost, each rung over the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunebook.compare.statistics.comparison import Comparison, compare_rungs
from tunebook.compare.statistics.points import point_of
from tunebook.compare.statistics.results import RungResult


@dataclass(frozen=True)
class PointCost:
    """One step up the ladder."""

    rung: str
    before: str
    points: float
    """Gain over the rung before (of the same model, or of none) in points (`points.point_of`); below 0 if worse."""
    seconds: float | None
    """More seconds a run for each point; None if the gain is not significant."""
    labels: float | None
    """More training rows for each point; None if the gain is not significant, or the number of rows is unknown."""
    reason: str | None
    """Why there is no cost of a point."""


def cost_of_points(rungs: Sequence[RungResult], comparison: Comparison | None = None) -> list[PointCost]:
    """Divide what a rung takes more than the one before by the points that it adds.

    Of several models each has its own way up: from what needs no model over its own rungs.

    Args:
        rungs: From the bottom up. A rung without a defined metric is passed over (`Comparison.left_out`).
        comparison: Of the same rungs; made where not given.

    Returns:
        One for each rung that has one before it. Where a gain comes with less time or fewer rows, the cost is below 0.
    """
    known = [rung for rung in rungs if rung.score.defined]
    if len(known) < 2:
        return []
    judged = comparison or compare_rungs(known)
    found = []
    for place, rung in enumerate(known):
        below = [other for other in known[:place] if other.model in ("", rung.model)]
        found += [_step(below[-1], rung, judged)] if below else []
    return found


def _step(before: RungResult, rung: RungResult, comparison: Comparison) -> PointCost:
    pair = comparison.between(rung.name, before.name)
    sign = 1 if rung.score.higher_is_better else -1
    sign *= 1 if pair.first == rung.name else -1
    points = sign * pair.difference.value / point_of(before.score)
    if not pair.shown:
        return PointCost(rung.name, before.name, points, None, None, "no significant difference")
    if points <= 0:
        return PointCost(rung.name, before.name, points, None, None, "it is worse than the rung before")
    seconds = (rung.cost.seconds - before.cost.seconds) / points
    rows = (rung.cost.training_rows, before.cost.training_rows)
    labels = None if rows[0] is None or rows[1] is None else (rows[0] - rows[1]) / points
    return PointCost(rung.name, before.name, points, seconds, labels, None)
