"""Heads: losses, probabilities and decisions, against the papers' formulas written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from tunebook.plugins import load_recipe_class
from tunebook.recipe import Head
from tunebook.training.softmax_head import SoftmaxHead

LABELS = ["1", "2", "3", "4", "5"]


def ordinal(labels: list[str] = LABELS) -> Head:
    recipe = load_recipe_class("review_sentiment")
    options = recipe.Config(name="review_sentiment")
    options.head = type(options.head)["ordinal"]
    return recipe(options).head(labels)


def logits_and_targets(rows: int = 64, outputs: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(rows, outputs, generator=generator) * 2, torch.randint(
        0, outputs + 1, (rows,), generator=generator
    )


def corn_loss(logits: list[list[float]], targets: list[int]) -> tuple[float, int]:
    """Equation 5 of Shi, Cao & Raschka 2021, arXiv:2111.08851, row by row; and the number of its terms."""
    total, terms = 0.0, 0
    for k in range(len(logits[0])):
        subset = [i for i, target in enumerate(targets) if target > k - 1]  # S_k: rows with rank above r_{k-1}
        for i in subset:
            probability = 1 / (1 + math.exp(-logits[i][k]))
            total -= math.log(probability) if targets[i] > k else math.log(1 - probability)
        terms += len(subset)
    return total, terms


def test_the_ordinal_loss_is_that_of_corn():
    logits, targets = logits_and_targets()
    total, terms = corn_loss(logits.tolist(), targets.tolist())
    loss = ordinal().loss(logits, targets)
    assert loss.shape == (64,)
    # Ours gives each row the same share of a batch: the paper's sum over steps, not its mean over terms.
    assert loss.sum().item() * 4 == pytest.approx(total, rel=1e-5)
    assert terms == int((targets + 1).clamp(max=4).sum())
    for row in range(0, 64, 9):
        one, _ = corn_loss([logits[row].tolist()], [int(targets[row])])
        assert loss[row].item() * 4 == pytest.approx(one, rel=1e-5)


def test_a_rows_loss_does_not_depend_on_its_batch():
    logits, targets = logits_and_targets()
    head = ordinal()
    torch.testing.assert_close(head.loss(logits, targets)[:5], head.loss(logits[:5], targets[:5]))


def test_ordinal_probabilities_add_up_to_one_and_come_from_products():
    logits, _ = logits_and_targets()
    probabilities = ordinal().probabilities(logits)
    assert probabilities.shape == (64, 5) and (probabilities >= 0).all()
    torch.testing.assert_close(probabilities.sum(1), torch.ones(64))
    p = torch.sigmoid(logits[0]).tolist()
    above = [p[0], p[0] * p[1], p[0] * p[1] * p[2], p[0] * p[1] * p[2] * p[3]]
    expected = [1 - above[0], above[0] - above[1], above[1] - above[2], above[2] - above[3], above[3]]
    assert probabilities[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_the_ordinal_answer_is_the_papers_rank():
    logits, _ = logits_and_targets(500)
    head = ordinal()
    rank = [sum(math.prod(p[: k + 1]) > 0.5 for k in range(4)) for p in torch.sigmoid(logits.double()).tolist()]
    decided = head.decide(head.probabilities(logits.double()).double()).tolist()
    # A probability within rounding of one half may fall either way.
    differ = [i for i in range(500) if decided[i] != rank[i]]
    near = torch.sigmoid(logits.double()).cumprod(1).sub(0.5).abs().min(1).values
    assert all(near[i] < 1e-6 for i in differ)
    assert len(set(rank)) == 5, "every label is among the answers"


@pytest.mark.parametrize("size", [2, 3, 7])
def test_any_number_of_ordered_labels(size: int):
    head = ordinal([str(i) for i in range(size)])
    logits, targets = logits_and_targets(20, size - 1)
    assert head.outputs == size - 1
    assert head.probabilities(logits).shape == (20, size)
    assert torch.isfinite(head.loss(logits, targets)).all()


def test_sure_logits_stay_finite():
    head = ordinal()
    logits = torch.tensor([[100.0] * 4, [-100.0] * 4])
    assert head.decide(head.probabilities(logits)).tolist() == [4, 0]
    assert head.loss(logits, torch.tensor([4, 0])).tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
    assert torch.isfinite(head.loss(logits, torch.tensor([0, 4]))).all()


def test_the_softmax_head_is_cross_entropy():
    head = SoftmaxHead(5)
    logits, targets = logits_and_targets(16, 5)
    logits.requires_grad_(True)
    targets = targets.clamp(max=4)
    expected = [
        -math.log(math.exp(row[t]) / sum(map(math.exp, row)))
        for row, t in zip(logits.tolist(), targets.tolist(), strict=True)
    ]
    assert head.loss(logits, targets).tolist() == pytest.approx(expected, rel=1e-5)
    probabilities = head.probabilities(logits)
    torch.testing.assert_close(probabilities, F.softmax(logits, dim=1))
    assert head.decide(probabilities).tolist() == logits.argmax(1).tolist()


@pytest.mark.parametrize("head", [SoftmaxHead(4), ordinal(["1", "2", "3", "4"])], ids=["softmax", "ordinal"])
def test_a_fresh_final_layer_starts_from_the_shares_of_the_labels(head):
    counts = torch.tensor([10.0, 5.0, 25.0, 60.0])
    prior = head.prior_logits(counts)
    assert prior.shape == (head.outputs,)
    assert torch.allclose(head.probabilities(prior[None])[0], counts / 100, atol=1e-6)
