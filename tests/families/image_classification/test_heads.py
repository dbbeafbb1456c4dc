"""Losses of image classifiers against torch's and torchvision's own, and against scikit-learn's weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

from tests.user_error import user_error
from tunebook import FindingsHead, Head, ImageClassification, SoftmaxHead
from tunebook.families.image_classification.heads import make_head, training_head
from tunebook.families.image_classification.options import ImageClassificationConfig, Imbalance
from tunebook.plugins.contract import BrokenContract
from tunebook.training.softmax_head import start_logits

SINGLE = np.array([0] * 60 + [1] * 30 + [2] * 10)
SEVERAL = np.array([[1, 0]] * 20 + [[1, 1]] * 5 + [[0, 0]] * 75)


def options(imbalance: Imbalance = Imbalance.none, several: bool = False, gamma: float = 2.0) -> Any:
    findings = ["a", "b"] if several else None
    return ImageClassificationConfig(name="x", findings=findings, imbalance=imbalance, focal_gamma=gamma)


def learning(labels: str, options: Any, targets: Any, own: Any = None) -> Any:
    """The head that a recipe of these options learns with."""

    class Own(ImageClassification[ImageClassificationConfig]):
        def head(self, labels: Any) -> Head:
            made: Head = own(len(labels)) if own else super().head(labels)
            return made

    return training_head(Own(options), labels, targets)


def draws(rows: int, outputs: int) -> torch.Tensor:
    return 3 * torch.randn(rows, outputs, generator=torch.Generator().manual_seed(0))


def test_without_options_the_losses_are_torchs_own() -> None:
    target = torch.from_numpy(SINGLE)
    head = learning("abc", options(), SINGLE)
    logits = draws(100, 3)
    torch.testing.assert_close(head.loss(logits, target), F.cross_entropy(logits, target, reduction="none"))
    flags = torch.from_numpy(SEVERAL)
    several = learning("ab", options(several=True), SEVERAL)
    logits = draws(100, 2)
    expected = F.binary_cross_entropy_with_logits(logits, flags.float(), reduction="none").mean(dim=1)
    torch.testing.assert_close(several.loss(logits, flags), expected)


def test_weights_make_labels_count_alike() -> None:
    head = learning("abc", options(Imbalance.weights), SINGLE)
    assert isinstance(head, SoftmaxHead) and head.weights is not None
    wanted = compute_class_weight("balanced", classes=np.arange(3), y=SINGLE)
    np.testing.assert_allclose(head.weights.numpy(), wanted, rtol=1e-6)
    target, logits = torch.from_numpy(SINGLE), draws(100, 3)
    expected = F.cross_entropy(logits, target, torch.tensor(wanted, dtype=torch.float32), reduction="none")
    torch.testing.assert_close(head.loss(logits, target), expected)
    np.testing.assert_allclose(np.bincount(SINGLE, head.weights.numpy()[SINGLE]), [100 / 3] * 3, rtol=1e-6)


def test_weights_of_findings_are_rows_without_over_rows_with() -> None:
    head = learning("ab", options(Imbalance.weights, several=True), SEVERAL)
    assert isinstance(head, FindingsHead) and head.weights is not None
    assert head.weights.tolist() == [75 / 25, 95 / 5]
    flags, logits = torch.from_numpy(SEVERAL), draws(100, 2)
    expected = F.binary_cross_entropy_with_logits(
        logits, flags.float(), pos_weight=torch.tensor([3.0, 19.0]), reduction="none"
    )
    torch.testing.assert_close(head.loss(logits, flags), expected.mean(dim=1))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_the_focal_loss_of_findings_is_torchvisions(gamma: float) -> None:
    head = learning("ab", options(Imbalance.focal, several=True, gamma=gamma), SEVERAL)
    flags, logits = torch.from_numpy(SEVERAL), draws(100, 2)
    expected = sigmoid_focal_loss(logits, flags.float(), alpha=-1, gamma=gamma).mean(dim=1)
    torch.testing.assert_close(head.loss(logits, flags), expected)


def test_the_focal_loss_of_labels_by_hand() -> None:
    head = learning("ab", options(Imbalance.focal), SINGLE.clip(max=1))
    logits = torch.tensor([[math.log(3.0), 0.0], [math.log(3.0), 0.0]])  # 3/4 and 1/4
    expected = [-math.log(3 / 4) * (1 / 4) ** 2, -math.log(1 / 4) * (3 / 4) ** 2]
    assert head.loss(logits, torch.tensor([0, 1])).tolist() == pytest.approx(expected, rel=1e-6)


def test_the_focal_loss_of_a_sure_answer_has_a_finite_gradient() -> None:
    for gamma in (0.5, 2.0):
        for several in (False, True):
            head = learning("ab", options(Imbalance.focal, several, gamma), SEVERAL if several else SINGLE.clip(max=1))
            logits = torch.tensor([[90.0, -90.0], [-90.0, 90.0]], requires_grad=True)
            target = torch.tensor([[1, 0], [1, 0]]) if several else torch.tensor([0, 0])
            head.loss(logits, target).sum().backward()
            assert logits.grad is not None and torch.isfinite(logits.grad).all(), (gamma, several)


def test_a_fresh_model_believes_what_is_common() -> None:
    start = start_logits(learning("abc", options(), SINGLE), SINGLE, 3)
    assert start is not None
    torch.testing.assert_close(start.softmax(0), torch.tensor([0.6, 0.3, 0.1]))
    several = start_logits(learning("ab", options(several=True), SEVERAL), SEVERAL, 2)
    assert several is not None
    torch.testing.assert_close(several.sigmoid(), torch.tensor([0.25, 0.05]))
    weighted = learning("abc", options(Imbalance.weights), SINGLE)
    assert start_logits(weighted, SINGLE, 3) is None, "where all count alike, all are as likely"


def test_decisions_and_probabilities() -> None:
    single, several = make_head("abc", options()), make_head("ab", options(several=True))
    logits = torch.tensor([[0.0, 2.0, 1.0]])
    torch.testing.assert_close(single.probabilities(logits), logits.softmax(1))
    assert single.decide(single.probabilities(logits)).tolist() == [1]
    flags = several.probabilities(torch.tensor([[0.0, -0.1], [3.0, 4.0]]))
    assert several.decide(flags).tolist() == [[1, 0], [1, 1]]
    assert (single.kind, several.kind, several.problem_type) == ("softmax", "findings", "multi_label_classification")


def test_logits_come_from_a_network_that_takes_x() -> None:
    class Sums(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.sum(dim=(2, 3))

    batch = {"inputs": {"x": torch.ones(2, 3, 4, 4)}}
    assert make_head("abc", options()).forward(Sums(), batch).tolist() == [[16.0] * 3] * 2


def test_a_negative_gamma_is_refused() -> None:
    with user_error("config.out-of-range", where="recipe.focal_gamma", match="must be 0 or more"):
        make_head("ab", options(Imbalance.focal, gamma=-0.1))


class Costly(SoftmaxHead):
    """Weights and focal loss reach it through the loss that it builds on."""

    def loss(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return 5 * super().loss(logits, target)


class OnItsOwn(SoftmaxHead):
    """A loss that knows of neither."""

    def loss(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return (logits.softmax(-1) - F.one_hot(target, self.outputs)).square().sum(dim=-1)


@pytest.mark.parametrize("imbalance", [Imbalance.weights, Imbalance.focal])
def test_an_own_head_takes_what_its_loss_looks_at_and_refuses_what_it_does_not(imbalance: Imbalance) -> None:
    target, logits = torch.from_numpy(SINGLE), draws(100, 3)
    plain = learning("abc", options(imbalance), SINGLE)
    costly = learning("abc", options(imbalance), SINGLE, Costly)
    torch.testing.assert_close(costly.loss(logits, target), 5 * plain.loss(logits, target))
    with user_error("config.no-effect", where="recipe.imbalance"):
        learning("abc", options(imbalance), SINGLE, OnItsOwn)
    assert isinstance(learning("abc", options(), SINGLE, OnItsOwn), OnItsOwn)


def test_a_head_of_one_label_is_refused_where_there_may_be_several() -> None:
    with pytest.raises(BrokenContract, match=r"Costly: multilabel is False, and rows may have several findings"):
        learning("ab", options(several=True), SEVERAL, Costly)
    with pytest.raises(BrokenContract, match="FindingsHead: multilabel is True, and rows have one label"):
        learning("abc", options(), SINGLE, FindingsHead)
