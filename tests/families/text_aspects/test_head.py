from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from tunebook.data.batch import IGNORE_INDEX
from tunebook.families.text_aspects.head import AspectsHead
from tunebook.training.solve import solve, solve_chosen

HEAD = AspectsHead(aspects=2, values=3)
# Softmax of the first aspect of the first row: 1/2, 1/4, 1/4; of all others uniform.
LOGITS = torch.tensor([[math.log(2), 0.0, 0.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 5.0, 5.0, 5.0]])


def test_the_loss_is_the_mean_entropy_of_the_known_aspects() -> None:
    both = torch.tensor([[0, 2], [1, 1]])
    assert HEAD.loss(LOGITS, both).tolist() == pytest.approx([(math.log(2) + math.log(3)) / 2, math.log(3)])
    some = torch.tensor([[0, IGNORE_INDEX], [IGNORE_INDEX, 0]])
    assert HEAD.loss(LOGITS, some).tolist() == pytest.approx([math.log(2), math.log(3)])
    none = torch.full((2, 2), IGNORE_INDEX)
    assert HEAD.loss(LOGITS, none).tolist() == [0.0, 0.0]


def test_an_unknown_value_has_no_gradient() -> None:
    logits = LOGITS.clone().requires_grad_()
    HEAD.loss(logits, torch.tensor([[IGNORE_INDEX, 1], [2, 1]])).sum().backward()
    assert logits.grad is not None
    assert logits.grad[0, :3].tolist() == [0.0, 0.0, 0.0] and logits.grad[0, 3:].abs().min() > 0


def test_each_aspect_has_probabilities_and_an_answer_of_its_own() -> None:
    found = HEAD.probabilities(torch.tensor([[math.log(2), 0.0, 0.0, 0.0, 0.0, math.log(8)]]))
    assert found[0].tolist() == pytest.approx([0.5, 0.25, 0.25, 0.1, 0.1, 0.8])
    assert HEAD.decide(found).tolist() == [[0, 2]]
    assert HEAD.probabilities(LOGITS.double()).dtype == torch.float64


def test_a_fresh_layer_starts_at_the_shares_of_each_aspect() -> None:
    start = HEAD.prior_logits(torch.tensor([6.0, 3.0, 1.0, 5.0, 5.0, 10.0]))
    shares = HEAD.probabilities(start[None])[0]
    assert shares.tolist() == pytest.approx([0.6, 0.3, 0.1, 0.25, 0.25, 0.5])


def test_a_solved_layer_is_a_logistic_regression_an_aspect_on_its_known_rows() -> None:
    draw = np.random.default_rng(0)
    features = draw.normal(size=(120, 4)).astype(np.float32)
    targets = np.stack([(features[:, i] * 2 + draw.normal(size=120)).round().clip(-1, 1) + 1 for i in (0, 1)], axis=1)
    targets = targets.astype(np.int64)

    def total(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        # A row's loss is the mean of its aspects; with both known, half the sum.
        return HEAD.loss(logits, target) * 2

    solved = solve(torch.tensor(features), torch.tensor(targets), 6, total, 1.0)
    logits = torch.tensor(features) @ solved.weight.T + solved.bias
    found = HEAD.probabilities(logits).reshape(120, 2, 3).numpy()
    for i in (0, 1):
        theirs = LogisticRegression(C=1.0, max_iter=1000, tol=1e-8).fit(features, targets[:, i])
        assert found[:, i] == pytest.approx(theirs.predict_proba(features), abs=2e-3)


def test_the_strength_is_chosen_where_values_are_unknown() -> None:
    draw = np.random.default_rng(1)
    features = torch.tensor(draw.normal(size=(60, 5)).astype(np.float32))
    targets = torch.tensor(draw.integers(0, 3, (60, 2)))
    targets[::3, 0], targets[1::3, 1] = IGNORE_INDEX, IGNORE_INDEX
    solved = solve_chosen(features, targets, HEAD.outputs, HEAD.loss, (features, targets), 0)
    assert solved.weight.shape == (6, 5) and "5-fold cross-validation" in solved.chosen_by
