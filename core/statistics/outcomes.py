"""What one run answered on the test rows, in a form that any resampling of them, or any swap, can score.

A unit is what is drawn: a test row, or a whole group where rows come in groups (reviews of one customer, images of
one patient, turns of one conversation). All runs of a ladder have the same units in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tunebook.statistics import confusion
from tunebook.statistics.classes import class_f1
from tunebook.statistics.confusion import Statistic
from tunebook.statistics.draws import group_numbers
from tunebook.statistics.predictions import Predictions
from tunebook.statistics.resampling import CELLS_AT_ONCE, Units
from tunebook.statistics.sums import Formula, RowSums, of_units

Draws = NDArray[np.int64]
Values = NDArray[np.float64]
_LIMITS: dict[Statistic, tuple[float, float]] = {confusion.quadratic_kappa: (-1.0, 1.0)}

DIFFERENT = "a comparison needs the same metric of the same test rows on both sides"


class Outcome(Protocol):
    """One run on the test rows."""

    @property
    def units(self) -> int:
        """Independent units: rows, or groups where rows come in groups."""

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest value that the metric can have; infinite where there is none."""

    @property
    def evidence(self) -> int:
        """Units that a score at one of its limits rests on: those that could have made it another."""

    def scores(self, counts: Draws) -> Values:
        """Give the metric of resamples: how often each unit was drawn, `[draws, units]` -> `[draws]`."""

    def exchanged(self, other: Any, swaps: Draws) -> Values:
        """Give the metric with some units answered by another run of the same kind.

        Args:
            other: That run.
            swaps: 1 where the other answers, else 0, `[draws, units]`.

        Returns:
            `[draws]`.

        Raises:
            ValueError: The other is not about the same units, or of another kind.
        """


def same_kind(one: Outcome, other: Outcome) -> None:
    """Refuse two runs whose answers cannot be swapped."""
    if type(one) is not type(other) or one.units != other.units:
        raise ValueError(DIFFERENT)


def in_chunks(measure: Callable[[Draws], Values], draws: Draws, cells: int) -> Values:
    """Measure draws `[draws, units]` in stacks of at most `CELLS_AT_ONCE` numbers, `cells` of them a draw."""
    step = max(1, CELLS_AT_ONCE // max(cells, 1))
    starts: Iterator[int] = iter(range(0, max(len(draws), 1), step))
    return np.concatenate([measure(draws[start : start + step]) for start in starts])


@dataclass(frozen=True, eq=False)
class ConfusionOutcome:
    """A statistic of the confusion matrix: accuracy, macro F1, kappa, mean absolute error ..."""

    rows: Units
    """One unit of it for each test row, with its group where there are any."""
    statistic: Statistic
    of: int | None = None
    """Units that the statistic is about, where these are fewer than all: those of one label, say."""

    @property
    def units(self) -> int:
        """Rows, or groups."""
        return self.rows.independent

    @property
    def limits(self) -> tuple[float, float]:
        """From 0 to 1, but for kappa and for distances."""
        if self.statistic is confusion.mean_absolute_error:
            return 0.0, float(self.rows.size - 1)
        return _LIMITS.get(self.statistic, (0.0, 1.0))

    @property
    def evidence(self) -> int:
        """All units, by default."""
        return self.units if self.of is None else self.of

    def scores(self, counts: Draws) -> Values:
        """Score resamples `[draws, units]`."""
        return in_chunks(lambda part: self.statistic(self._confusions(part)), counts, self._cells)

    def exchanged(self, other: ConfusionOutcome, swaps: Draws) -> Values:
        """Score with some units `[draws, units]` answered by another run."""
        same_kind(self, other)
        if self.statistic is not other.statistic or not self._same_truth(other):
            raise ValueError(DIFFERENT)
        return in_chunks(
            lambda part: self.statistic(self._confusions(1 - part) + other._confusions(part)), swaps, self._cells
        )

    def _same_truth(self, other: ConfusionOutcome) -> bool:
        same = self.rows.size == other.rows.size and len(self.rows.counts) == len(other.rows.counts)
        return same and bool((self.rows.cells // self.rows.size == other.rows.cells // other.rows.size).all())

    @property
    def _cells(self) -> int:
        return max(self.rows.size**2, len(self.rows.counts))

    def _confusions(self, counts: Draws) -> NDArray[np.float64]:
        """Count by matrix products, several times faster here than gathering; float32 counts to 16 million."""
        drawn = (counts if self.rows.groups is None else counts[:, self.rows.groups]).astype(np.float32)
        cells, size = self.rows.cells[0], self.rows.size
        flat = np.zeros((len(counts), size * size))
        occurring = np.unique(cells)
        step = max(1, CELLS_AT_ONCE // max(len(cells), 1))
        for start in range(0, len(occurring), step):
            block = occurring[start : start + step]
            flat[:, block] = drawn @ (cells[:, None] == block).astype(np.float32)
        return flat.reshape(-1, size, size)


def confusion_outcome(predictions: Predictions, statistic: Statistic | str, of: int | None = None) -> ConfusionOutcome:
    """Take a run's answers, to be scored by a statistic of confusion matrices.

    Args:
        predictions: On the test rows.
        statistic: A function of confusion matrices, or its name in `confusion.STATISTICS`.
        of: Units that it is about, where these are fewer than all: those of one label, say.
    """
    measure = confusion.STATISTICS[statistic] if isinstance(statistic, str) else statistic
    size = len(predictions.labels)
    cells = (predictions.target * size + predictions.predicted)[None]
    groups = None if predictions.groups is None else group_numbers(predictions.groups)
    return ConfusionOutcome(Units(size, np.ones(len(predictions), dtype=np.int64), cells, groups), measure, of)


def label_outcomes(predictions: Predictions) -> dict[str, ConfusionOutcome]:
    """Take a run's answers once for each label, to be scored by its F1.

    A perfect F1 rests on the rows (or groups) that have the label, or were given it: no others could have changed it.
    """
    units = np.arange(len(predictions)) if predictions.groups is None else group_numbers(predictions.groups)
    about = [(predictions.target == i) | (predictions.predicted == i) for i in range(len(predictions.labels))]
    return {
        name: confusion_outcome(predictions, class_f1(i), of=len(np.unique(units[about[i]])))
        for i, name in enumerate(predictions.labels)
    }


@dataclass(frozen=True, eq=False)
class SumsOutcome:
    """A formula of sums over units: perplexity, BLEU, chrF, ROUGE, shares of facts ..."""

    sums: Values
    """What each unit adds, `[units, columns]`."""
    formula: Formula
    limits: tuple[float, float] = (0.0, float("inf"))
    rows: int | None = None
    """Rows that count, of all units together; None where that is not known."""

    @property
    def units(self) -> int:
        """Rows, or groups."""
        return len(self.sums)

    @property
    def evidence(self) -> int:
        """Those that say anything."""
        return int((self.sums != 0).any(1).sum())

    def scores(self, counts: Draws) -> Values:
        """Score resamples `[draws, units]`."""
        return self.formula(counts @ self.sums)

    def exchanged(self, other: SumsOutcome, swaps: Draws) -> Values:
        """Score with some units `[draws, units]` answered by another run."""
        same_kind(self, other)
        return self.formula(self.sums.sum(0) + swaps @ (other.sums - self.sums))


def sums_outcome(measure: RowSums, groups: NDArray[Any] | None = None) -> SumsOutcome:
    """Take one measure of a run's answers; `groups` `[rows]` says which rows belong together.

    Raises:
        ValueError: The measure means nothing on these texts.
    """
    if measure.reason:
        raise ValueError(f"{measure.name} is undefined: {measure.reason}")
    least = 1.0 if measure.name == "perplexity" else 0.0
    most = 1.0 if measure.share else measure.most
    limits = (least, float("inf") if most is None else most)
    return SumsOutcome(of_units(measure.sums, groups), measure.formula, limits, int(measure.rows.sum()))
