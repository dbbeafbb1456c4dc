from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tunebook.families.text_regression.scale import (
    Scale,
    ScaledLinear,
    fold_final_layer,
    scale_final_layer,
)


def network(bias: bool = True) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1, bias=bias))


@pytest.mark.parametrize("bias", [True, False])
def test_the_folded_model_is_plain_and_answers_the_same(bias: bool) -> None:
    model, inputs = network(bias), torch.randn(5, 6)
    scale_final_layer(model, 1, Scale(1990.0, 12.0))
    expected = model(inputs)
    fold_final_layer(model)
    assert not any(isinstance(layer, ScaledLinear) for layer in model.modules())
    assert set(model.state_dict()) == set(network(bias).state_dict())
    torch.testing.assert_close(model(inputs), expected)


def test_the_first_answers_are_about_the_mean_and_a_deviation_wide() -> None:
    model = network()
    layer = scale_final_layer(model, 1, Scale(200.0, 0.001))
    assert model(torch.randn(50, 6)).detach().numpy() == pytest.approx(200.0, abs=0.01)
    assert layer.scale == Scale(200.0, 0.001)


def test_it_learns_as_a_plain_layer_learns_standardised_numbers() -> None:
    """The gradients are those of the squared error of ``(y - mean) / deviation``."""
    inputs, scale = torch.randn(5, 6), Scale(40.0, 8.0)
    target = 40.0 + 8.0 * torch.randn(5)
    scaled, plain = network(), network()
    scale_final_layer(scaled, 1, scale)
    plain[2].bias.data.zero_()
    ((scaled(inputs)[:, 0] - target) / scale.deviation).square().mean().backward()
    F.mse_loss(plain(inputs)[:, 0], (target - scale.mean) / scale.deviation).backward()
    for one, other in zip(scaled.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_a_layer_without_a_bias_adds_no_mean() -> None:
    assert ScaledLinear(nn.Linear(4, 1, bias=False), Scale(7.0, 2.0)).scale == Scale(0.0, 2.0)


def test_answers_are_float32_where_training_is_in_bfloat16() -> None:
    layer = ScaledLinear(nn.Linear(4, 1), Scale(1990.0, 0.5))
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(torch.randn(64, 4))
    assert found.dtype == torch.float32
    assert len(np.unique(found.detach().numpy())) > 8  # bfloat16 has steps of 8 there


def test_the_scale_is_that_of_numpy() -> None:
    values = np.array([1.0, 2.0, 6.0])
    assert Scale.of(values) == Scale(3.0, pytest.approx(np.std(values)))
