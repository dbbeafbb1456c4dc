"""Shares of the same rows, each with an interval that knows which rows depend on each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.statistics.draws import counted, group_numbers, row_draws, union
from tunebook.statistics.intervals import UNDEFINED, Interval, percentile, wilson

Share = tuple[NDArray[np.bool_], NDArray[np.bool_]]
"""The rows that count for a share, and those it is taken of, `[rows]` each."""


def share_intervals(
    shares: Sequence[Share], groups: NDArray[Any] | None, confidence: float, resamples: int, seed: int
) -> list[Interval]:
    """Bound shares of the same rows: Wilson's interval, or resampled groups that cover Wilson's."""
    if groups is None:
        return [wilson(int(hits.sum()), int(within.sum()), confidence) for hits, within in shares]
    numbers = group_numbers(groups)
    size = int(numbers.max(initial=-1)) + 1
    hits, within = (
        np.stack([np.bincount(numbers, weights=share[part], minlength=size) for share in shares], axis=1)
        for part in (0, 1)
    )
    draws = [(weights @ hits, weights @ within) for weights in row_draws(size, None, resamples, seed)]
    if not draws:
        return [UNDEFINED] * len(shares)
    found, of = (np.concatenate([draw[part] for draw in draws]) for part in (0, 1))
    drawn = np.divide(found, of, out=np.full(of.shape, np.nan), where=of > 0)
    return [_with_wilson(share, drawn[:, i], groups, confidence) for i, share in enumerate(shares)]


def _with_wilson(share: Share, drawn: NDArray[np.float64], groups: NDArray[Any], confidence: float) -> Interval:
    n = int(share[1].sum())
    if not n:
        return UNDEFINED
    value, known = int(share[0].sum()) / n, drawn[~np.isnan(drawn)]
    rows = counted(share[1], groups, alike=bool(len(known) == 0 or known.min() == known.max()))
    return union(percentile(drawn, confidence), wilson(value * rows, rows, confidence))
