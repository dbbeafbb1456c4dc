"""Whether one model is better than another by a measure that is a formula of sums over rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.statistics.difference import Difference
from tunebook.statistics.differences import judged
from tunebook.statistics.intervals import UNDEFINED, percentile
from tunebook.statistics.outcomes import SumsOutcome
from tunebook.statistics.paired import resampled, swap_test
from tunebook.statistics.sums import RowSums, of_units


def sums_difference(
    one: RowSums,
    other: RowSums,
    groups: NDArray[Any] | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Difference:
    """Compare two models by one measure of the same rows: that of `one` minus that of `other`.

    The interval comes from resampling rows, or whole groups, with both answers to each kept together (Koehn, 2004). A
    difference must also pass a randomisation test (Noreen, 1989): the answers to a row, or to all rows of a group,
    swapped between the models at random.

    Args:
        one: The measure of one model.
        other: The same measure of the other, of the same rows in the same order.
        groups: Which rows belong together, `[rows]`.
        confidence: Coverage of the interval.
        resamples: Number of bootstrap resamples, and of random swaps.
        seed: Seed of the draws.

    Raises:
        ValueError: The two are different measures, or not of the same number of rows.
    """
    if one.name != other.name or len(one.sums) != len(other.sums):
        raise ValueError("a paired comparison needs one measure of the same rows on both sides")
    value = one.value() - other.value()
    units = [of_units(measure.sums, groups) for measure in (one, other)]
    counted = (units[0] != 0).any(1) | (units[1] != 0).any(1)
    first, second = ([SumsOutcome(each[counted], one.formula)] for each in units)
    low, high, p_value = *UNDEFINED, float("nan")
    if counted.sum() > 1 and not np.isnan(value):
        mine, theirs = resampled([first, second], resamples, seed)
        low, high = percentile(mine - theirs, confidence)
        p_value = swap_test(first, second, value, resamples, seed)
    n = int((one.rows | other.rows).sum())
    method = "paired bootstrap" if groups is None else "paired group bootstrap"
    return judged(value, low, high, n, p_value, confidence, method)
