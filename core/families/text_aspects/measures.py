"""What is measured of aspects: formulas of confusion matrices that rows add up to, unknown values left out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tunebook.data.batch import IGNORE_INDEX
from tunebook.statistics import confusion
from tunebook.statistics.sums import RowSums, ratio

if TYPE_CHECKING:
    from torch import Tensor
    from torchmetrics import MetricCollection

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]

OVERALL = ("macro_f1", "exact_match")
"""Measures of all aspects together, the watched one first."""


def cells(truth: Numbers, answers: Numbers, values: int) -> Floats:
    """What each row adds to the confusion matrix of each aspect, ``[rows, aspects * values * values]``.

    Args:
        truth: ``[rows, aspects]``; `IGNORE_INDEX` where it is unknown, which adds nothing.
        answers: ``[rows, aspects]``.
        values: Number of values.
    """
    known = truth != IGNORE_INDEX
    place = np.where(known, truth * values + answers, 0)
    found: Floats = np.eye(values * values)[place] * known[..., None]
    return found.reshape(len(truth), -1)


def confusions(sums: Floats, values: int) -> Floats:
    """Added-up cells as confusion matrices, ``[..., aspects, values, values]``, truth first."""
    return sums.reshape(*sums.shape[:-1], -1, values, values)


def all_right(truth: Numbers, answers: Numbers) -> Floats:
    """Whether all known aspects of a row are right, and whether any is known, ``[rows, 2]``."""
    known = truth != IGNORE_INDEX
    some = known.any(axis=1)
    right = some & ((truth == answers) | ~known).all(axis=1)
    return np.stack([right, some], axis=1).astype(np.float64)


def mean_macro_f1(sums: Floats, values: int) -> Floats:
    """Mean of the macro F1 of the aspects that have known values, ``[..., cells]`` -> ``[...]``."""
    return _mean(confusion.macro_f1(confusions(sums, values)))


def mentioned_f1(sums: Floats, values: int) -> Floats:
    """F1 of "mentioned": any value but the first, ``[..., cells]`` of one aspect -> ``[...]``."""
    found = confusions(sums, values)[..., 0, :, :]
    parts = (found[..., 1:, 1:], found[..., 1:, :1], found[..., :1, 1:])
    right, missed, made_up = (part.sum((-2, -1)) for part in parts)
    return ratio(np.stack([2 * right, 2 * right + missed + made_up], axis=-1))


def polarity_f1(sums: Floats, values: int) -> Floats:
    """Macro F1 of all values but the first among rows whose truth is one of them, ``[..., cells]`` -> ``[...]``.

    An answer that the aspect is not mentioned is a miss. Values that occur in neither truth nor answers do not count.
    """
    found = confusions(sums, values)[..., 0, :, :].copy()
    found[..., 0, :] = 0.0
    return _mean(confusion.f1(found)[..., 1:])


def _mean(each: Floats) -> Floats:
    """The mean of the last axis over what is defined; nan where nothing is."""
    known = ~np.isnan(each)
    return ratio(np.stack([np.where(known, each, 0.0).sum(-1), known.sum(-1)], axis=-1))


def overall_measures(truth: Numbers, answers: Numbers, values: int) -> dict[str, RowSums]:
    """Those of all aspects together, by name."""
    whole = RowSums("macro_f1", cells(truth, answers, values), partial(mean_macro_f1, values=values), most=1.0)
    return {"macro_f1": whole, "exact_match": RowSums("exact_match", all_right(truth, answers), share=True)}


def aspect_measures(truth: Numbers, answers: Numbers, values: int) -> dict[str, RowSums]:
    """Those of one aspect, by name.

    Args:
        truth: ``[rows]``; `IGNORE_INDEX` where it is unknown.
        answers: ``[rows]``.
        values: Number of values.
    """
    found = cells(truth[:, None], answers[:, None], values)
    known = truth != IGNORE_INDEX
    right = np.stack([known & (truth == answers), known], axis=1).astype(np.float64)
    mentioned = found * (known & (truth > 0))[:, None]
    measured = [
        RowSums("macro_f1", found, partial(mean_macro_f1, values=values), most=1.0),
        RowSums("accuracy", right, share=True),
        RowSums("mentioned_f1", found, partial(mentioned_f1, values=values), most=1.0),
        RowSums("polarity_macro_f1", mentioned, partial(polarity_f1, values=values), most=1.0),
    ]
    return {each.name: each for each in measured}


def matrices(truth: Numbers, answers: Numbers, values: int) -> Sequence[Numbers]:
    """The confusion matrix of each aspect, ``[values, values]``."""
    return list(confusions(cells(truth, answers, values).sum(axis=0), values).astype(np.int64))


def validation_metrics(aspects: int, values: int) -> MetricCollection:
    """The same of all aspects together, for validation."""
    from torchmetrics import MetricCollection

    from tunebook.statistics.metrics import Decided
    from tunebook.statistics.sums_metric import SumsMetric

    whole = SumsMetric(partial(_cells, values=values), aspects * values * values, partial(mean_macro_f1, values=values))
    made: dict[str, Any] = {"macro_f1": Decided(whole), "exact_match": Decided(SumsMetric(_all_right, 2, ratio))}
    return MetricCollection(made)


def _cells(answers: Tensor, target: Tensor, values: int) -> Floats:
    return cells(target.cpu().numpy(), answers.cpu().numpy(), values)


def _all_right(answers: Tensor, target: Tensor) -> Floats:
    return all_right(target.cpu().numpy(), answers.cpu().numpy())
