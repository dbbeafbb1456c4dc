"""A metric that depends on the order of rows or labels, or takes what it is not given, fails the check by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import (
    BinaryF1Score,
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassCohenKappa,
    MultilabelAveragePrecision,
)

from tunebook import Decided, FindingsHead, LabelDistance, SoftmaxHead, TextClassification, TextClassificationConfig
from tunebook.data.batch import Batch
from tunebook.recipe import Head
from tunebook.testing.invariance import metrics_invariant
from tunebook.testing.outcome import Failed, NotApplicable


class Rows(Metric):
    """A metric that keeps all rows, and makes a number of them as the test says."""

    higher_is_better = True
    preds: list[Tensor]
    target: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("preds", [], dist_reduce_fx="cat")
        self.add_state("target", [], dist_reduce_fx="cat")

    def update(self, preds: Tensor, target: Tensor) -> None:
        self.preds.append(preds)
        self.target.append(target)

    def compute(self) -> Tensor:
        return self.value(torch.cat(self.preds), torch.cat(self.target))

    def value(self, preds: Tensor, target: Tensor) -> Tensor:
        raise NotImplementedError


class FirstHalf(Rows):
    """Of the first half of the rows alone."""

    def value(self, preds: Tensor, target: Tensor) -> Tensor:
        half = len(target) // 2
        return (preds.argmax(1) == target)[:half].float().mean()


class LastBatch(FirstHalf):
    """Of the last batch alone."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        self.preds, self.target = [preds], [target]

    def value(self, preds: Tensor, target: Tensor) -> Tensor:
        return (preds.argmax(1) == target).float().mean()


class FirstLabel(Rows):
    """How surely the first label is told, whichever it is."""

    def value(self, preds: Tensor, target: Tensor) -> Tensor:
        return preds[target == 0, 0].mean()


class FirstLabelOnPurpose(FirstLabel):
    label_order: ClassVar[str] = "fixed"


class NamedLabel(Rows):
    """How surely a label is told, by its name."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place

    def value(self, preds: Tensor, target: Tensor) -> Tensor:
        return preds[target == self.place, self.place].mean()


class WithinOne(Rows):
    """The share of answers at most one star off."""

    def value(self, preds: Tensor, target: Tensor) -> Tensor:
        return ((preds - target).abs() <= 1).float().mean()


class WithinOneStar(WithinOne):
    label_order: ClassVar[str] = "reversible"


class AtMost(Rows):
    """Whether the answer is no more stars than the truth, which is no distance."""

    label_order: ClassVar[str] = "reversible"

    def value(self, preds: Tensor, target: Tensor) -> Tensor:
        return (preds <= target).float().mean()


class Likeliest(Rows):
    """Of answers: a top-3 accuracy that ranks rows, where it should rank labels."""

    def value(self, preds: Tensor, target: Tensor) -> Tensor:
        return (preds.topk(3).indices == target[:, None]).any(dim=-1).float().mean()


class LogitsHead(SoftmaxHead):
    """Feeds validation otherwise than testing."""

    def measure(self, metrics: MetricCollection, logits: Tensor, losses: Tensor, batch: Batch) -> None:
        for metric in metrics.values(copy_state=False):
            metric.update(-logits.softmax(-1), batch["target"])


def found(metric: Metric | None, labels: Sequence[str] = "abcd", head: Head | None = None) -> str:
    class Own(TextClassification[TextClassificationConfig]):
        watch = "it"
        watch_mode = "min" if metric is not None and metric.higher_is_better is False else "max"

        def head(self, labels: Sequence[str]) -> Head:
            return head or SoftmaxHead(len(labels))

        def metrics(self, labels: Sequence[str]) -> MetricCollection:
            return MetricCollection({"it": metric or NamedLabel(list(labels).index("b"))})

    recipe: Any = Own(TextClassificationConfig(name="own"))
    return metrics_invariant(recipe, head or SoftmaxHead(len(labels)), list(labels), "")


@pytest.mark.parametrize(
    "metric",
    [
        MulticlassAccuracy(4, top_k=3),
        MulticlassAUROC(4),
        Decided(MulticlassAccuracy(4, average="macro")),
        Decided(MulticlassCohenKappa(4, weights="quadratic")),
        Decided(LabelDistance()),
        Decided(WithinOneStar()),
        FirstLabelOnPurpose(),
        None,
    ],
)
def test_metrics_that_are_sound_pass(metric: Metric | None):
    assert found(metric).startswith("it: the same")


@pytest.mark.parametrize(
    ("metric", "phrases"),
    [
        (FirstHalf(), ["of the same in another order", "add up sums"]),
        (LastBatch(), ["of the same in batches of 7", "add up sums"]),
        (FirstLabel(), ["labels in another order", "label_order"]),
        (Decided(WithinOne()), ["labels in another order", "label_order"]),
        (Decided(AtMost()), ["labels in reverse order", "label_order"]),
        (Decided(Likeliest()), []),
        (MulticlassAccuracy(3), ["raised", "given the probabilities"]),
    ],
)
def test_metrics_that_are_not_fail_with_what_was_seen(metric: Metric, phrases: list[str]):
    with pytest.raises(Failed) as caught:
        found(metric)
    for phrase in [*phrases, "its metric 'it'", f"{__file__}:"]:
        assert phrase in str(caught.value)


def test_a_head_that_feeds_validation_otherwise_fails():
    with pytest.raises(Failed, match=r"in validation and .* in testing"):
        found(MulticlassAccuracy(4), head=LogitsHead(4))


def test_a_metric_of_two_labels_keeps_its_positive_one():
    assert found(BinaryF1Score(), "ab")


def test_rows_with_several_labels_are_tried_as_such():
    assert found(MultilabelAveragePrecision(4), head=FindingsHead(4))
    with pytest.raises(Failed, match=r"the truth \[rows, labels\]"):
        found(MulticlassAUROC(4), head=FindingsHead(4))


def test_a_recipe_without_labels_has_nothing_to_lay_otherwise():
    with pytest.raises(NotApplicable):
        found(MulticlassAccuracy(4), "")
