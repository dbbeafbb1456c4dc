"""Bootstrap resamples of predictions as stacks of confusion matrices, in bounded memory.

Rows with the same truth, the same answers and the same group are one unit with a count. Resampling the rows
is then one multinomial draw over the units, however many rows there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.statistics.predictions import Predictions

CELLS_AT_ONCE = 2_000_000
"""Most numbers held in one stack of resamples (16 MB)."""


@dataclass(frozen=True, eq=False)
class Units:
    """Distinct rows and how often they occur."""

    size: int
    """Number of labels."""
    counts: NDArray[np.int64]
    """Rows of each unit, `[units]`."""
    cells: NDArray[np.int64]
    """Flat confusion cell (truth * size + answer) of each unit under each model, `[models, units]`."""
    groups: NDArray[np.int64] | None = None
    """Group number of each unit, `[units]`."""

    @property
    def independent(self) -> int:
        """Number of things that are drawn: groups, or rows where there are none."""
        return int(self.counts.sum()) if self.groups is None else int(self.groups.max(initial=-1)) + 1

    def confusions(self, counts: NDArray[Any], model: int = 0) -> NDArray[Any]:
        """Turn unit counts `[draws, units]` into confusion matrices `[draws, labels, labels]`."""
        order = np.argsort(self.cells[model], kind="stable")
        cells = self.cells[model][order]
        starts = np.flatnonzero(np.diff(cells, prepend=-1))
        flat = np.zeros((len(counts), self.size * self.size), dtype=counts.dtype)
        if len(cells):
            flat[:, cells[starts]] = np.add.reduceat(counts[:, order], starts, axis=1)
        return flat.reshape(-1, self.size, self.size)

    def draws(self, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
        """Draw as many rows (or whole groups) as there are, with replacement: counts `[chunk, units]`."""
        random = np.random.default_rng(seed)
        for chunk in self.chunks(resamples):
            if self.groups is None:
                rows = int(self.counts.sum())
                yield random.multinomial(rows, self.counts / max(rows, 1), size=chunk)
            else:
                groups = self.independent
                drawn = random.multinomial(groups, np.full(groups, 1 / groups), size=chunk)
                yield drawn[:, self.groups] * self.counts

    def chunks(self, resamples: int) -> Iterator[int]:
        """Split the number of resamples so that one stack stays within `CELLS_AT_ONCE`."""
        drawn = 0 if self.groups is None else self.independent
        step = max(1, CELLS_AT_ONCE // max(self.size * self.size, len(self.counts), drawn))
        for start in range(0, resamples, step):
            yield min(step, resamples - start)


def units_of_confusion(confusion: NDArray[Any]) -> Units:
    """Take the cells of one confusion matrix `[labels, labels]` that hold rows."""
    flat = np.asarray(confusion, dtype=np.int64).ravel()
    cells = np.flatnonzero(flat)
    return Units(len(confusion), flat[cells], cells[None, :])


def units_of_rows(
    size: int,
    target: NDArray[np.int64],
    answers: Sequence[NDArray[np.int64]],
    groups: NDArray[Any] | None = None,
) -> Units:
    """Gather equal rows: truth and groups `[rows]`, and the answers `[rows]` of one model or more."""
    columns = [target * size + answer for answer in answers]
    if groups is not None:
        columns.append(np.unique(groups, return_inverse=True)[1].reshape(-1).astype(np.int64))
    distinct, counts = np.unique(np.stack(columns), axis=1, return_counts=True)
    cells = distinct[: len(answers)]
    return Units(size, counts.astype(np.int64), cells, None if groups is None else distinct[-1])


def units_of(*models: Predictions) -> Units:
    """Gather the equal rows of one model's predictions, or of several models on the same rows."""
    first = models[0]
    answers = [model.predicted for model in models]
    return units_of_rows(len(first.labels), first.target, answers, first.groups)
