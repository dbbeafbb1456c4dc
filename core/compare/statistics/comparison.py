"""Significant differences between rungs, and the cheapest that is not significantly worse than the best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np

from tunebook.compare.statistics.differences import difference_of
from tunebook.compare.statistics.results import RungResult
from tunebook.statistics.difference import Difference
from tunebook.statistics.paired import resampled

POWER = 0.8
"""Power to detect a difference of the smallest detectable size."""
TWICE, SECONDS = 2.0, 10.0
"""Two rungs cost the same if one takes at most twice as long, or this much longer: smaller savings do not justify a
worse score, and are within the noise of measured times."""
SWAPS_A_STEP = 5
"""Random swaps for each step at which p-values must be resolved under the strictest correction."""


@dataclass(frozen=True)
class Pair:
    """Two rungs on the same test rows; the first is the one that scores better on them."""

    first: str
    second: str
    difference: Difference
    """First minus second, with its interval for itself alone; the p-value is that of random swaps."""
    p_holm: float
    """The p-value for all comparisons of the family together (Holm, 1979)."""
    shown: bool
    """Whether the rows show a difference: `p_holm` is below 1 - confidence and the interval leaves out 0."""
    smallest: float
    """Size of a true difference that such rows show four times in five; nan where the two answer alike."""
    seed_error: float
    """Standard error of the difference from seed to seed; nan where neither has several seeds."""


@dataclass(frozen=True)
class Comparison:
    """All rungs against each other."""

    best: str
    recommended: str
    """The cheapest rung that is not significantly worse than the best; of several that cost the same, the best."""
    pairs: tuple[Pair, ...]
    """The family: every pair that was looked at."""
    confidence: float
    swaps: int
    """Random swaps of each test."""
    left_out: tuple[str, ...]
    """Rungs whose metric is undefined: nothing is said of them."""

    def between(self, one: str, other: str) -> Pair:
        """Find the pair of two rungs, in either order.

        Raises:
            KeyError: The two were not compared.
        """
        for pair in self.pairs:
            if {pair.first, pair.second} == {one, other}:
                return pair
        raise KeyError(f"{one} and {other} were not compared")

    def shown_worse(self, name: str, than: str) -> bool:
        """Whether the rows show one rung to be worse than another."""
        if name == than:
            return False
        pair = self.between(name, than)
        return pair.shown and pair.second == name


def compare_rungs(
    rungs: Sequence[RungResult], *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Comparison:
    """Compare every rung with every other, on the same test rows.

    The intervals resample test rows (or whole groups) with the answers of all rungs and seeds to each kept together.
    The tests swap the answers of two rungs, all seeds at once. The family is all pairs: the best rung is known only
    from looking at them, so a comparison with it is a choice among all. Holm's correction keeps the chance of any
    false difference in the whole ladder below 1 - confidence.

    Args:
        rungs: At least one, all on the same test rows.
        confidence: Of the intervals, each for itself, and of the family of tests.
        resamples: Number of bootstrap resamples and, unless the family needs more, of random swaps.
        seed: Seed of the draws.

    Raises:
        ValueError: No rung has a defined metric, or they are not on the same rows.
    """
    known = [rung for rung in rungs if rung.score.defined]
    if not known:
        raise ValueError("no rung has a defined metric")
    sign = 1 if known[0].score.higher_is_better else -1
    values = {rung.name: rung.score.value for rung in known}
    ordered = sorted(known, key=lambda rung: (-sign * values[rung.name], rung.cost.seconds))
    family = list(combinations(ordered, 2))
    swaps = max(resamples, math.ceil(SWAPS_A_STEP * len(family) / (1 - confidence)))
    drawn = dict(zip(values, resampled([rung.outcomes for rung in known], resamples, seed), strict=True))
    found = [difference_of(a, b, (drawn[a.name], drawn[b.name]), confidence, swaps, seed) for a, b in family]
    adjusted = holm([difference.p_value for difference, _ in found])
    pairs = tuple(
        _pair(a, b, difference, error, p, len(family))
        for (a, b), (difference, error), p in zip(family, found, adjusted, strict=True)
    )
    best = ordered[0].name
    worse = {pair.second for pair in pairs if pair.first == best and pair.shown}
    recommended = _cheapest([rung for rung in ordered if rung.name not in worse])
    left_out = tuple(rung.name for rung in rungs if not rung.score.defined)
    return Comparison(best, recommended.name, pairs, confidence, swaps, left_out)


def costs_less(one: RungResult, other: RungResult) -> bool:
    """Whether one rung takes so much less time than another that it matters."""
    less, more = one.cost.seconds, other.cost.seconds
    return more > TWICE * less and more > less + SECONDS


def _cheapest(rungs: Sequence[RungResult]) -> RungResult:
    """The first of those that cost no more than the cheapest."""
    least = min(rungs, key=lambda rung: rung.cost.seconds)
    return next(rung for rung in rungs if not costs_less(least, rung))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values so that all that stay below a level are right together that often (Holm, 1979).

    An undefined one (nan) counts among the comparisons, and stays undefined.
    """
    order = np.argsort(p_values)  # nan comes last
    adjusted, least = [float("nan")] * len(p_values), 0.0
    for rank, place in enumerate(order):
        p_value = p_values[place]
        if not np.isnan(p_value):
            least = max(least, min(1.0, (len(p_values) - rank) * p_value))
            adjusted[place] = least
    return adjusted


def smallest_detectable(error: float, comparisons: int, confidence: float, power: float = POWER) -> float:
    """Size of a true difference that is shown with this power, at the strictest level of the family.

    Args:
        error: Standard error of the paired difference.
        comparisons: Number of comparisons in the family.
        confidence: Of the family.
        power: How often the difference is to be shown.

    Returns:
        nan where the two answered every row alike: nothing is known of how such differences scatter.
    """
    normal = NormalDist()
    reach = normal.inv_cdf(1 - (1 - confidence) / (2 * max(comparisons, 1))) + normal.inv_cdf(power)
    return reach * error if error > 0 else float("nan")


def _pair(one: RungResult, other: RungResult, difference: Difference, error: float, p_holm: float, family: int) -> Pair:
    shown = difference.distinguishable and p_holm < 1 - difference.confidence
    smallest = smallest_detectable(error, family, difference.confidence)
    return Pair(one.name, other.name, difference, p_holm, shown, smallest, _seed_error(one, other))


def _seed_error(one: RungResult, other: RungResult) -> float:
    parts = [np.var(rung.by_seed, ddof=1) / len(rung.by_seed) for rung in (one, other) if len(rung.by_seed) > 1]
    return float(np.sqrt(sum(parts))) if parts else float("nan")
