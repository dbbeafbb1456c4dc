"""A recipe's metrics are tried before anything is trained; what is wrong ends in one message with its line."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import (
    BinaryF1Score,
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassCalibrationError,
    MulticlassRecall,
)
from torchmetrics.regression import MeanAbsoluteError

from tunebook import Decided, TextClassification, TextClassificationConfig
from tunebook.plugins.contract import BrokenContract
from tunebook.plugins.measures import check_metrics

LABELS = ("a", "b", "c")


class TopThree(Metric):
    """The share of rows whose truth is one of the three likeliest labels, as an author writes it."""

    higher_is_better = True
    right: Tensor
    rows: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("right", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("rows", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        self.right += (preds.topk(3, dim=1).indices == target[:, None]).any(dim=-1).sum()
        self.rows += len(target)

    def compute(self) -> Tensor:
        return self.right / self.rows


def recipe(given: dict[str, Metric], watching: str = "", mode: str = "max") -> TextClassification[Any]:
    class Own(TextClassification[TextClassificationConfig]):
        watch = watching or next(iter(given))
        watch_mode = mode

        def metrics(self, labels: Sequence[str]) -> MetricCollection:
            return MetricCollection(dict(given))

    return Own(TextClassificationConfig(name="own"))


@pytest.mark.parametrize(
    "metric",
    [
        TopThree(),
        MulticlassAccuracy(3, top_k=2),
        MulticlassAUROC(3),
        Decided(MulticlassAccuracy(3)),
        Decided(MeanAbsoluteError()),
    ],
)
def test_metrics_of_probabilities_and_of_answers_are_taken(metric: Metric):
    check_metrics(recipe({"it": metric}, mode="max" if metric.higher_is_better else "min"), LABELS)


@pytest.mark.parametrize(
    ("metrics", "phrases"),
    [
        ({"recall": MulticlassRecall(3, average=None)}, ["'recall'", "gives 3 values", 'average="macro"']),
        ({"loss": MulticlassAccuracy(3)}, ["called 'loss'", "log_loss"]),
        (
            {"distance": MeanAbsoluteError()},
            [
                "'distance' raised",
                "given the probabilities [rows, labels] and the truth [rows]",
                "write Decided(metric)",
            ],
        ),
        (
            {"three": Decided(TopThree())},
            ["'three' raised", "the decided answers [rows]", "take Decided(...) away"],
        ),
        ({"f1": BinaryF1Score()}, ["'f1' raised", "BinaryF1Score is of two labels, and there are 3"]),
    ],
)
def test_a_metric_that_cannot_be_a_score_is_told_with_the_recipes_line(metrics: dict[str, Metric], phrases: list[str]):
    made = recipe(metrics, mode="max" if next(iter(metrics.values())).higher_is_better else "min")
    with pytest.raises(BrokenContract) as caught:
        check_metrics(made, LABELS)
    message = str(caught.value)
    line = inspect.getsourcelines(type(made).metrics)[1]
    for phrase in [*phrases, f"{__file__}:{line}", "The recipe 'own' breaks the contract"]:
        assert phrase in message, message


def test_what_is_watched_must_be_better_in_the_direction_that_is_watched():
    error = {"error": MulticlassCalibrationError(3)}
    check_metrics(recipe(error, mode="min"), LABELS)
    with pytest.raises(BrokenContract, match="lower is better") as caught:
        check_metrics(recipe(error), LABELS)
    assert "watch_mode = 'min'" in str(caught.value)

    class Unsaid(TopThree):
        higher_is_better = None

    check_metrics(recipe({"it": Unsaid()}), LABELS)
    with pytest.raises(BrokenContract, match="does not say that lower is better"):
        check_metrics(recipe({"it": Unsaid()}, mode="min"), LABELS)


def test_a_watched_metric_that_there_is_not_is_told_with_the_nearest():
    with pytest.raises(BrokenContract, match="did you mean accuracy"):
        check_metrics(recipe({"accuracy": MulticlassAccuracy(3)}, watching="acuracy"), LABELS)
