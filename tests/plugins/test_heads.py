"""A head is tried on made-up outputs before anything is trained; what is wrong is told with its own line."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import pytest
from torch import Tensor

from tunebook import FindingsHead, Head, SoftmaxHead, TextClassification, TextClassificationConfig
from tunebook.plugins.heads import BrokenHead, try_head

LABELS = ("a", "b", "c")


class Averaged(SoftmaxHead):
    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        return super().loss(logits, target).mean()


class Listed(SoftmaxHead):
    def loss(self, logits: Tensor, target: Tensor) -> Any:
        return super().loss(logits, target).tolist()


class Detached(SoftmaxHead):
    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        return super().loss(logits.detach(), target)


class Undefined(SoftmaxHead):
    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        return super().loss(logits, target) * (logits.sum(dim=-1) * 0).log() * 0


class Unshared(SoftmaxHead):
    def probabilities(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()


class Logits(FindingsHead):
    def probabilities(self, logits: Tensor) -> Tensor:
        return logits


class Narrow(SoftmaxHead):
    def probabilities(self, logits: Tensor) -> Tensor:
        return super().probabilities(logits)[:, :2]


class Floats(SoftmaxHead):
    def decide(self, probabilities: Tensor) -> Tensor:
        return probabilities.argmax(dim=-1).float()


class FromOne(SoftmaxHead):
    def decide(self, probabilities: Tensor) -> Tensor:
        return probabilities.argmax(dim=-1) + 1


class OneOfSeveral(FindingsHead):
    def decide(self, probabilities: Tensor) -> Tensor:
        return probabilities.argmax(dim=-1)


class Prior(SoftmaxHead):
    def prior_logits(self, counts: Tensor) -> Tensor:
        return counts.sum()


def recipe(head: Head) -> Any:
    class Own(TextClassification[TextClassificationConfig]):
        def head(self, labels: Sequence[str]) -> Head:
            return head

    return Own(TextClassificationConfig(name="own"))


@pytest.mark.parametrize("head", [SoftmaxHead(3), FindingsHead(3)])
def test_the_families_own_heads_pass(head: Head):
    try_head(recipe(head), LABELS)


@pytest.mark.parametrize(
    ("head", "part", "phrases"),
    [
        (Averaged(3), "loss", ["its `loss` of 6 rows gives a single number", 'reduction="none"']),
        (Listed(3), "loss", ["its `loss` of 6 rows gives a list", "give [6]"]),
        (Detached(3), "loss", ["its `loss` has no gradient", ".detach()"]),
        (Undefined(3), "loss", ["its `loss` of ordinary outputs is nan", "log_softmax"]),
        (Unshared(3), "probabilities", ["add up to", "not to 1", "multilabel = True"]),
        (Logits(3), "probabilities", ["give numbers from 0 to 1"]),
        (Narrow(3), "probabilities", ["a tensor of the shape [6, 2]", "one for each label (a, b, c)"]),
        (Floats(3), "decide", ["numbers of the type float32", "argmax"]),
        (FromOne(3), "decide", ["gives 1 to 3", "0 to 2"]),
        (OneOfSeveral(3), "decide", ["a tensor of the shape [6]", "a flag for each label"]),
        (Prior(3), "prior_logits", ["its `prior_logits` gives a single number", "give [3]"]),
    ],
)
def test_what_a_head_must_not_make_is_told_with_its_line(head: Head, part: str, phrases: list[str]):
    with pytest.raises(BrokenHead) as caught:
        try_head(recipe(head), LABELS)
    line = inspect.getsourcelines(getattr(type(head), part))[1]
    for phrase in [*phrases, f"of its head {type(head).__name__}", f"{__file__}:{line}", "recipe 'own' breaks"]:
        assert phrase in str(caught.value)


def test_a_head_is_tried_the_same_each_time():
    seen: list[Any] = []

    class Watched(SoftmaxHead):
        def loss(self, logits: Tensor, target: Tensor) -> Tensor:
            seen.append(logits.tolist())
            return super().loss(logits, target)

    for _ in range(2):
        try_head(recipe(Watched(3)), LABELS)
    assert seen[0] == seen[1]
