"""What a model of numbers answered on rows whose truth is known, in a form that any resampling can score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics import Metric
from torchmetrics.regression import MeanAbsoluteError, MeanSquaredError, R2Score, SpearmanCorrCoef

from tunebook.statistics.draws import group_numbers
from tunebook.statistics.intervals import rows_of_groups
from tunebook.statistics.outcomes import Draws, Outcome, SumsOutcome, Values, same_kind
from tunebook.statistics.spearman import SpearmanOutcome
from tunebook.statistics.sums import of_units, ratio


@dataclass(frozen=True, eq=False)
class NumberPredictions:
    """One number a row, each with the identity of the row it belongs to."""

    target: Values
    """The truth, `[rows]`."""
    predicted: Values
    """The answer, `[rows]`, in the same units."""
    files: list[str]
    """Source file of each row."""
    lines: list[int]
    """Line (or index) in that file of each row."""
    texts: list[str]
    """The row as a person reads it."""
    groups: NDArray[Any] | None = None
    """Rows of one group (customer, product ...) are not independent of each other, `[rows]`."""

    def __post_init__(self) -> None:
        columns: list[Any] = [self.predicted, self.files, self.lines, self.texts]
        columns += [] if self.groups is None else [self.groups]
        if any(len(column) != len(self.target) for column in columns):
            raise ValueError(f"every column must have {len(self.target)} rows, one for each target")

    def __len__(self) -> int:
        return len(self.target)


def answering(value: float, like: NumberPredictions) -> NumberPredictions:
    """The same number for every row."""
    return replace(like, predicted=np.full(len(like), value))


def measure_numbers(metric: Metric, target: Values, predicted: Values) -> float:
    """The value of a torchmetrics metric on numbers `[rows]`, in float64; nan where it is undefined.

    The metric passed in is left as it is.
    """
    if not len(target):
        return float("nan")
    fresh = metric.clone().cpu().set_dtype(torch.float64)
    fresh.distributed_available_fn = lambda: False  # the other processes may not be here to synchronise with
    fresh.reset()
    try:
        fresh.update(torch.from_numpy(np.array(predicted)), torch.from_numpy(np.array(target)))
        value = fresh.compute()
    except ValueError:  # of fewer rows than the metric needs
        return float("nan")
    if value.numel() != 1:
        raise TypeError(f"{type(metric).__name__} gives {value.numel()} values; a score is one number")
    return float(value)


def number_outcomes(metric: Metric, runs: Sequence[NumberPredictions]) -> list[Outcome]:
    """Take the answers of several runs to the same rows, to be scored by a metric of torchmetrics.

    Mean absolute error, (root) mean squared error and R2 are formulas of sums over rows and cost microseconds a
    resample, Spearman's correlation little more; any other metric is computed anew, a millisecond each.

    Raises:
        ValueError: The runs are not about the same rows.
    """
    if not runs:
        return []
    first = runs[0]
    if any(not np.array_equal(run.target, first.target) for run in runs):
        raise ValueError("a comparison needs the same test rows for every run")
    make = _formula(metric)
    if make is not None:
        return [make(run) for run in runs]
    members = rows_of_groups(np.arange(len(first)) if first.groups is None else first.groups)
    return [ComputedOutcome(run.target, run.predicted, metric, members) for run in runs]


def _formula(metric: Metric) -> Callable[[NumberPredictions], Outcome] | None:
    """What makes the outcome of a known metric; None for any other, a class derived from a known one among them."""
    if type(metric) is MeanAbsoluteError:
        return lambda run: _sums(run, abs(run.predicted - run.target), ratio)
    if type(metric) is MeanSquaredError:
        root = np.sqrt if not metric.squared else np.asarray
        return lambda run: _sums(run, (run.predicted - run.target) ** 2, lambda sums: root(ratio(sums)))
    if type(metric) is R2Score and not metric.adjusted:
        return _r2
    if type(metric) is SpearmanCorrCoef:
        return _spearman
    return None


def _sums(run: NumberPredictions, each: Values, formula: Callable[[Values], Values]) -> Outcome:
    return SumsOutcome(of_units(np.stack([each, np.ones(len(run))], axis=1), run.groups), formula)


def _r2(run: NumberPredictions) -> Outcome:
    """The share of the truth's variance that the answers explain; without an end below."""
    centred = run.target - run.target.mean()  # large numbers with small differences keep their digits
    columns = [(run.predicted - run.target) ** 2, centred, centred**2, np.ones(len(run))]
    limits = (float("-inf"), float("inf"))  # 1 is the most, and a scale with one end above is not to be had
    return SumsOutcome(of_units(np.stack(columns, axis=1), run.groups), r2_of_sums, limits)


def _spearman(run: NumberPredictions) -> Outcome:
    groups = None if run.groups is None else group_numbers(run.groups)
    return SpearmanOutcome(run.target, run.predicted, groups)


def r2_of_sums(sums: Values) -> Values:
    """R2 from sums of squared errors, of centred truths, of their squares and of rows, `[..., 4]` -> `[...]`.

    nan where all truths are one number (but for rounding): there is no variance to be explained.
    """
    errors, total, squares, rows = (sums[..., i] for i in range(4))
    variance = squares - total**2 / np.maximum(rows, 1)
    known = variance > 1e-12 * np.maximum(squares, np.finfo(float).tiny)
    out: Values = np.full(errors.shape, np.nan)
    np.divide(errors, variance, out=out, where=known)
    return 1 - out


@dataclass(frozen=True, eq=False)
class ComputedOutcome:
    """Any other metric of torchmetrics, computed anew for each resample."""

    target: Values
    predicted: Values
    metric: Metric
    members: list[NDArray[np.int64]]
    """Row numbers of each unit."""
    limits: tuple[float, float] = (float("-inf"), float("inf"))

    @property
    def units(self) -> int:
        """Rows, or groups."""
        return len(self.members)

    @property
    def evidence(self) -> int:
        """All units."""
        return self.units

    def scores(self, counts: Draws) -> Values:
        """Score resamples `[draws, units]`, one by one."""
        return np.array([self._value(self.predicted, self._rows(draw)) for draw in counts])

    def exchanged(self, other: ComputedOutcome, swaps: Draws) -> Values:
        """Score with some units `[draws, units]` answered by another run, one by one."""
        same_kind(self, other)
        every = np.arange(len(self.target))
        mixed = (np.where(np.isin(every, self._rows(d)), other.predicted, self.predicted) for d in swaps)
        return np.array([self._value(answers, every) for answers in mixed])

    def _rows(self, draw: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.concatenate([np.tile(rows, times) for rows, times in zip(self.members, draw, strict=True)])

    def _value(self, predicted: Values, rows: NDArray[np.int64]) -> float:
        return measure_numbers(self.metric, self.target[rows], predicted[rows])
