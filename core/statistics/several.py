"""Measures of answers that may hold several labels, or none: formulas of sums over rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import MetricCollection

from tunebook.statistics.finding_metrics import FindingAveragePrecision
from tunebook.statistics.label_scores import LabelScores
from tunebook.statistics.metrics import Decided
from tunebook.statistics.outcomes import Outcome, label_outcomes
from tunebook.statistics.predictions import Predictions
from tunebook.statistics.ranking_scores import mean_of_known
from tunebook.statistics.scores import per_class
from tunebook.statistics.sums import RowSums, ratio
from tunebook.statistics.sums_metric import SumsMetric

Values = NDArray[np.float64]


class ShareMetric(SumsMetric):
    """A formula of sums from 0 to 1, the higher the better."""

    plot_lower_bound = 0.0
    plot_upper_bound = 1.0


class LossMetric(ShareMetric):
    """A formula of sums from 0 to 1, the lower the better."""

    higher_is_better = False


def counts(answers: Tensor, target: Tensor) -> Values:
    """What each row adds to the counts of each label: right, wrong and missed ones, ``[rows, 3 * labels + 1]``.

    The last column is 1: a row without labels that gets none counts as a row, too.

    Args:
        answers: Flags ``[rows, labels]``.
        target: The truth, flags ``[rows, labels]``.
    """
    given, true = (part.cpu().numpy() == 1 for part in (answers, target))
    ones = np.ones((len(given), 1))
    return np.concatenate([given & true, given & ~true, true & ~given, ones], axis=1).astype(np.float64)


def f1_of_labels(sums: Values) -> Values:
    """F1 of each label, ``[..., labels]`` of sums of `counts`; nan of one that no row has and no answer names."""
    right, wrong, missed = np.split(sums[..., :-1], 3, axis=-1)
    return ratio(np.stack([2 * right, 2 * right + wrong + missed], axis=-1))


def macro_f1(sums: Values) -> Values:
    """Mean F1 of the labels that are true or answered anywhere, ``[...]`` of sums of `counts`."""
    values = f1_of_labels(sums)
    return mean_of_known(values.reshape(-1, values.shape[-1])).reshape(values.shape[:-1])


def micro_f1(sums: Values) -> Values:
    """F1 of all labels counted together, ``[...]`` of sums of `counts`."""
    right, wrong, missed = (part.sum(axis=-1) for part in np.split(sums[..., :-1], 3, axis=-1))
    return ratio(np.stack([2 * right, 2 * right + wrong + missed], axis=-1))


def exact(answers: Tensor, target: Tensor) -> Values:
    """Whether all labels of a row are right, and 1, ``[rows, 2]``."""
    right = (answers.long() == target.long()).all(dim=1).double().cpu().numpy()
    return np.stack([right, np.ones_like(right)], axis=1)


def wrong_labels(answers: Tensor, target: Tensor) -> Values:
    """How many labels of a row are wrong, and how many there are, ``[rows, 2]``."""
    wrong = (answers.long() != target.long()).double().sum(dim=1).cpu().numpy()
    return np.stack([wrong, np.full_like(wrong, answers.shape[1])], axis=1)


def several_metrics(labels: int) -> MetricCollection:
    """Macro and micro F1, mean average precision, the share of rows exactly right, and the share of wrong labels.

    Args:
        labels: How many there are.
    """
    columns = 3 * labels + 1
    return MetricCollection(
        {
            "macro_f1": Decided(ShareMetric(counts, columns, macro_f1)),
            "micro_f1": Decided(ShareMetric(counts, columns, micro_f1)),
            "average_precision": FindingAveragePrecision(),
            "exact_match": Decided(ShareMetric(exact, 2, ratio)),
            "hamming_loss": Decided(LossMetric(wrong_labels, 2, ratio)),
        }
    )


def one_label(predictions: Predictions, number: int) -> Predictions:
    """The same answers about one label alone: whether a row is without it, or has it."""
    label, given = predictions.labels[number], predictions.probabilities[:, number]
    return replace(
        predictions,
        labels=(f"without {label}", label),
        target=predictions.target[:, number],
        probabilities=np.stack([1 - given, given], axis=1),
        predicted=predictions.predicted[:, number],
    )


def scores_by_label(predictions: Predictions, **settings: Any) -> list[LabelScores]:
    """Precision, recall and F1 of each label; ``settings`` are those of `per_class`."""
    return [per_class(one_label(predictions, i), **settings)[1] for i in range(len(predictions.labels))]


def outcomes_by_label(predictions: Predictions) -> dict[str, Outcome]:
    """The answers once for each label, to be scored by its F1."""
    return {label: label_outcomes(one_label(predictions, i))[label] for i, label in enumerate(predictions.labels)}


def none_sums(predictions: Predictions) -> dict[str, RowSums]:
    """What becomes of rows without any label.

    Returns:
        ``none_recall``, the share of these that get none; ``none_precision``, the share of rows that get none which
        have none; ``none_rate``, the share of all rows that get none.
    """
    given, true = (~(part == 1).any(axis=1) for part in (predictions.predicted, predictions.target))
    every = np.ones_like(given)
    return {
        "none_recall": _share("none_recall", given & true, true),
        "none_precision": _share("none_precision", given & true, given),
        "none_rate": _share("none_rate", given, every),
    }


def _share(name: str, part: NDArray[Any], whole: NDArray[Any]) -> RowSums:
    return RowSums(name, np.stack([part, whole], axis=1).astype(np.float64), share=True)
