"""Measures of texts as a formula of sums over rows, so that a bootstrap resample is one matrix product."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.statistics.draws import FEW_GROUPS, group_numbers, row_draws, union
from tunebook.statistics.intervals import UNDEFINED, Interval, Score, percentile, wilson

ALIKE = "all resamples are equal"
"""Why a measure that is the same for all rows has no interval."""
SAME = 1e-12
"""Resamples are alike that differ by no more than sums of the same numbers do, relatively."""
Formula = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide the first column by the second, `[..., 2]` -> `[...]`; nan where that is 0."""
    out: NDArray[np.float64] = np.full(sums.shape[:-1], np.nan)
    np.divide(sums[..., 0], sums[..., 1], out=out, where=sums[..., 1] > 0)
    return out


@dataclass(frozen=True, eq=False)
class RowSums:
    """One measure of one model's answers."""

    name: str
    sums: NDArray[np.float64]
    """What each row adds, `[rows, columns]`; a row of zeros says nothing and does not count."""
    formula: Formula = ratio
    """Maps added-up rows `[..., columns]` to values `[...]`."""
    most: float | None = None
    """Highest value of a measure that starts at 0; None where there is none."""
    share: bool = False
    """Whether it is a share of things that are there or not, so that Wilson's bound holds."""
    higher_is_better: bool = True
    signature: str = ""
    """The settings that others need to get the same number."""
    reason: str | None = None
    """Why the measure means nothing on these texts."""

    @property
    def rows(self) -> NDArray[np.bool_]:
        """Which rows count, `[rows]`."""
        return np.asarray((self.sums != 0).any(1))

    def value(self) -> float:
        """The measure over all rows; nan where it is undefined."""
        return float("nan") if self.reason or not self.rows.any() else float(self.formula(self.sums.sum(0)))


def of_units(sums: NDArray[np.float64], groups: NDArray[Any] | None) -> NDArray[np.float64]:
    """Add up the rows of each group, `[units, columns]`; where there are no groups each row is a unit."""
    if groups is None:
        return sums
    numbers = group_numbers(groups)
    units = np.zeros((int(numbers.max(initial=-1)) + 1, sums.shape[1]))
    np.add.at(units, numbers, sums)
    return units


def score(
    measure: RowSums,
    groups: NDArray[Any] | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Score:
    """Give a measure its interval, by resampling rows, or whole groups where there are any.

    A share of rows has Wilson's interval. Other shares are resampled, and the interval also covers Wilson's of
    as many rows or groups where these are few or all resamples alike. So does that of any measure with a highest
    value which every resample reaches, or misses wholly: a perfect score is not certain. Any other measure that is
    the same in all resamples has no interval: one of no width would claim to be sure. The method says so where
    fewer than `FEW_GROUPS` are resampled: such intervals are too narrow (of 10 conversations, 95 % intervals of
    BLEU, chrF and ROUGE-L held the truth in 88 to 92 % of simulations).
    """
    value, drawn = measure.value(), "bootstrap" if groups is None else "group bootstrap"
    units = of_units(measure.sums, groups)
    units = units[(units != 0).any(1)]
    interval, method, reason = UNDEFINED, drawn, measure.reason
    if np.isnan(value):
        reason = reason or "no row contributes to it"
    elif measure.share and groups is None and (units[:, 1] == 1).all():
        interval, method = wilson(float(units[:, 0].sum()), len(units), confidence), "wilson"
    elif len(units) < 2:
        reason = "too few rows or groups for an interval"
    else:
        interval, method, reason = _resampled(measure, units, value, drawn, confidence, resamples, seed)
    return Score(
        measure.name,
        value,
        *interval,
        n=int(measure.rows.sum()),
        confidence=confidence,
        method=method,
        higher_is_better=measure.higher_is_better,
        reason=reason,
    )


def _resampled(
    measure: RowSums,
    units: NDArray[np.float64],
    value: float,
    drawn: str,
    confidence: float,
    resamples: int,
    seed: int,
) -> tuple[Interval, str, str | None]:
    stacks = [measure.formula(weights @ units) for weights in row_draws(len(units), None, resamples, seed)]
    values = np.concatenate(stacks)
    interval, most = percentile(values, confidence), 1.0 if measure.share else measure.most
    method = drawn if len(units) >= FEW_GROUPS else f"{drawn} of only {len(units)}"
    if np.isnan(interval[0]):
        return interval, method, "undefined in most resamples"
    constant = bool(np.isclose(values[~np.isnan(values)], value, rtol=SAME, atol=SAME).all())
    extreme = most is not None and value in (0.0, most) and constant
    if extreme or (measure.share and (constant or len(units) < FEW_GROUPS)):
        low, high = wilson(value / (most or 1.0) * len(units), len(units), confidence)
        interval = union(interval, (low * (most or 1.0), high * (most or 1.0)))
        return interval, f"{drawn}, at least Wilson's", None
    return (UNDEFINED, method, ALIKE) if constant else (interval, method, None)
