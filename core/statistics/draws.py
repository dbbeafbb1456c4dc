"""Bootstrap draws of rows or whole patients, and the bounds that few of them leave open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.statistics.intervals import Interval
from tunebook.statistics.resampling import Units

FEW_GROUPS = 20
"""Below so many groups their bootstrap is too sure of itself (Cameron, Gelbach & Miller, 2008)."""


def group_numbers(groups: NDArray[Any]) -> NDArray[np.int64]:
    """Number the distinct groups from 0, `[rows]`."""
    return np.unique(groups, return_inverse=True)[1].reshape(-1).astype(np.int64)


def row_draws(n: int, groups: NDArray[Any] | None, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Draw rows, or whole groups, with replacement: how often each row was drawn, `[chunk, rows]`.

    The chunks add up to `resamples`, and each stays within bounded memory. Nothing is drawn from one row or
    one group.
    """
    numbers = None if groups is None else group_numbers(groups)
    units = Units(1, np.ones(n, dtype=np.int64), np.zeros((1, n), dtype=np.int64), numbers)
    if units.independent > 1:
        yield from units.draws(resamples, seed)


def counted(rows: NDArray[np.bool_], groups: NDArray[Any] | None, alike: bool) -> int:
    """Give how many independent rows a closed bound may count on among those marked `[rows]`.

    Where there are groups these are the groups if they are few, or all resamples of them are alike; from
    many groups the bootstrap knows how much their rows depend on each other, and the bound is that of rows.
    """
    n = int(rows.sum())
    if groups is None:
        return n
    distinct = len(np.unique(groups[rows]))
    return distinct if alike or distinct < FEW_GROUPS else n


def union(one: Interval, other: Interval) -> Interval:
    """Cover two intervals; undefined where one of them is."""
    return (float(np.minimum(one[0], other[0])), float(np.maximum(one[1], other[1])))
