"""Any other metric of a recipe: computed anew from the rows of each resample, milliseconds a piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torchmetrics import Metric

from tunebook.statistics.differences import exchanged
from tunebook.statistics.draws import group_numbers
from tunebook.statistics.intervals import rows_of_groups
from tunebook.statistics.measure import confusion_statistic, looked_at, measure
from tunebook.statistics.metrics import undecided
from tunebook.statistics.outcomes import ConfusionOutcome, Draws, Values, confusion_outcome, same_kind
from tunebook.statistics.predictions import Predictions


@dataclass(frozen=True, eq=False)
class MetricOutcome:
    """A metric of torchmetrics that is no statistic of the confusion matrix."""

    predictions: Predictions
    metric: Metric
    members: list[NDArray[np.int64]]
    """Row numbers of each unit."""

    @property
    def units(self) -> int:
        """Rows, or groups."""
        return len(self.members)

    @property
    def limits(self) -> tuple[float, float]:
        """As torchmetrics has them for its plots; infinite where it tells none."""
        inner = undecided(self.metric)
        least, most = inner.plot_lower_bound, inner.plot_upper_bound
        return float("-inf" if least is None else least), float("inf" if most is None else most)

    @property
    def evidence(self) -> int:
        """All units."""
        return self.units

    def scores(self, counts: Draws) -> Values:
        """Score resamples `[draws, units]`, one by one."""
        return np.array([measure(self.metric, self.predictions, self._rows(draw))[0] for draw in counts])

    def exchanged(self, other: MetricOutcome, swaps: Draws) -> Values:
        """Score with some units `[draws, units]` answered by another run, one by one."""
        same_kind(self, other)
        return np.array([measure(self.metric, self._mixed(other, draw))[0] for draw in swaps])

    def _rows(self, draw: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.concatenate([np.tile(rows, times) for rows, times in zip(self.members, draw, strict=True)])

    def _mixed(self, other: MetricOutcome, draw: NDArray[np.int64]) -> Predictions:
        swapped = np.zeros(len(self.predictions), dtype=bool)
        swapped[self._rows(draw)] = True
        return exchanged(self.predictions, other.predictions, swapped)


def metric_outcomes(metric: Metric, runs: Sequence[Predictions]) -> list[ConfusionOutcome] | list[MetricOutcome]:
    """Take the answers of all runs of a ladder, to be scored by one metric of torchmetrics.

    A metric that is a statistic of the confusion matrix on the answers of every run costs microseconds a resample;
    any other is computed anew, milliseconds each.

    Raises:
        ValueError: The runs are not about the same rows and labels.
    """
    if not runs:
        return []
    first = runs[0]
    if any(run.labels != first.labels or not np.array_equal(run.target, first.target) for run in runs):
        raise ValueError("a comparison needs the same test rows and labels for every run")
    statistic = confusion_statistic(metric, runs)
    if statistic is not None:
        return [confusion_outcome(looked_at(metric, run), statistic) for run in runs]
    groups = np.arange(len(first)) if first.groups is None else group_numbers(first.groups)
    members = rows_of_groups(groups)
    return [MetricOutcome(run, metric, members) for run in runs]
