"""Grad-CAM: by hand, by where a bright square lies, and against two other implementations."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from tunebook.families.image_classification.model.gradcam import grad_cam

timm = pytest.importorskip("timm")


class Tiny(nn.Module):
    """A convolution, the mean over all places, and a linear layer: torchvision's shape in small."""

    def __init__(self, kernels: torch.Tensor, weights: torch.Tensor) -> None:
        super().__init__()
        count, channels, side = kernels.shape[:3]
        self.features = nn.Conv2d(channels, count, side, padding=side // 2, bias=False)
        self.classifier = nn.Linear(count, len(weights), bias=False)
        self.features.weight.data, self.classifier.weight.data = kernels, weights

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(pixels).mean((2, 3)))


def test_a_network_worked_out_by_hand() -> None:
    # Channel 0 is the picture, channel 1 twice its negative; the gradient of output 1 is (3, 1) / 4 everywhere,
    # so the heat is (3 x - 2 x) / 4 cut at zero: 0, 1/4, 0, 2/4 of the pixels 0, 1, -1, 2.
    kernels = torch.tensor([1.0, -2.0]).reshape(2, 1, 1, 1)
    model = Tiny(kernels, torch.tensor([[-1.0, 0.0], [3.0, 1.0]]))
    pixels = torch.tensor([[0.0, 1.0], [-1.0, 2.0]]).reshape(1, 1, 2, 2)
    assert grad_cam(model, pixels, 1) == pytest.approx(np.array([[0, 0.5], [0, 1]]))
    # Output 0 is the negative of channel 0: only the pixel -1 raises it.
    assert grad_cam(model, pixels, 0) == pytest.approx(np.array([[0, 0], [1, 0]]))


def test_a_map_that_is_even_or_negative_is_all_zero() -> None:
    model = Tiny(torch.ones(1, 1, 1, 1), torch.tensor([[1.0], [-1.0]]))
    even = torch.full((1, 1, 6, 7), 0.3)
    assert not grad_cam(model, even, 0).any()
    assert not grad_cam(model, torch.rand(1, 1, 6, 7), 1).any()


def test_the_heat_lies_where_the_bright_square_is() -> None:
    model = Tiny(torch.full((1, 1, 5, 5), 1 / 25), torch.ones(1, 1))
    for top, left in [(3, 20), (18, 4)]:
        pixels = torch.rand(1, 1, 32, 32, generator=torch.manual_seed(0)) * 0.1
        pixels[..., top : top + 9, left : left + 9] += 0.9
        row, column = np.unravel_index(grad_cam(model, pixels, 0).argmax(), (32, 32))
        assert top <= row < top + 9
        assert left <= column < left + 9


def _timm(name: str, **options: object) -> Callable[[], nn.Module]:
    return lambda: timm.create_model(name, num_classes=3, **options)


def _torchvision(name: str) -> Callable[[], nn.Module]:
    return lambda: torchvision.models.get_model(name, num_classes=3)


NETWORKS = {
    "timm resnet": (_timm("test_resnet"), 96),
    "timm resnet, one channel": (_timm("test_resnet", in_chans=1), 96),
    "timm vit": (_timm("test_vit"), 160),
    "timm vit, class token": (_timm("test_vit", global_pool="token"), 160),
    "timm swin, channels last": (
        _timm("swin_tiny_patch4_window7_224", img_size=64, window_size=4, embed_dim=24, depths=(1, 1, 1, 1)),
        64,
    ),
    "timm mobilenetv2": (_timm("mobilenetv2_100"), 96),
    "torchvision resnet18": (_torchvision("resnet18"), 96),
    "torchvision squeezenet1_1": (_torchvision("squeezenet1_1"), 96),
    "torchvision densenet121": (_torchvision("densenet121"), 64),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_real_networks_give_a_map_and_are_left_as_found(name: str) -> None:
    torch.manual_seed(0)
    make, side = NETWORKS[name]
    model = make().train()
    list(model.modules())[-1].eval()
    for number, parameter in enumerate(model.parameters()):
        parameter.requires_grad = number % 2 == 0
    first = next(model.parameters())
    first.grad = torch.ones_like(first)
    before, modes = copy.deepcopy(model.state_dict()), [module.training for module in model.modules()]
    pixels = torch.randn(1, next(model.parameters()).shape[1] if "channel" in name else 3, side, side)
    with torch.no_grad():
        maps = [grad_cam(model, pixels, output) for output in range(3)]
    assert all(heat.shape == (side, side) and heat.dtype == np.float32 for heat in maps)
    assert all(heat.min() == 0 and heat.max() in (0, 1) for heat in maps)
    assert any(heat.max() == 1 for heat in maps)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert [p.requires_grad for p in model.parameters()] == [n % 2 == 0 for n in range(len(list(model.parameters())))]
    assert torch.equal(first.grad, torch.ones_like(first))
    assert all(parameter.grad is None for parameter in model.parameters() if parameter is not first)
    assert not any(module._forward_hooks for module in model.modules())
    assert pixels.grad is None
    assert not pixels.requires_grad


def test_a_frozen_network_under_inference_mode_has_a_map() -> None:
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=3).requires_grad_(False)
    pixels = torch.randn(1, 3, 96, 96)
    expected = [grad_cam(model, pixels, output) for output in range(3)]
    with torch.inference_mode():
        again = [grad_cam(model, pixels * 1, output) for output in range(3)]
    assert np.array_equal(again, expected)
    assert np.any(expected)


def test_a_network_of_a_shape_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="Sequential has no known feature map"):
        grad_cam(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), torch.zeros(1, 1, 2, 2), 0)


@pytest.mark.parametrize("name", ["timm mobilenetv2", "torchvision resnet18", "torchvision squeezenet1_1"])
def test_captum_agrees_on_convolutional_networks(name: str) -> None:
    attr = pytest.importorskip("captum.attr")
    torch.manual_seed(1)
    make, side = NETWORKS[name]
    model, pixels = make().eval(), torch.randn(1, 3, side, side)
    layer = {"timm mobilenetv2": "bn2", "torchvision resnet18": "layer4"}.get(name, "features")
    for output in range(3):
        heat = attr.LayerGradCam(model, getattr(model, layer)).attribute(pixels, output, relu_attributions=True)
        large = F.interpolate(heat, (side, side), mode="bilinear")[0, 0].detach().numpy()
        expected = (large - large.min()) / max(np.ptp(large), 1e-12)
        assert grad_cam(model, pixels, output) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", ["timm vit", "timm vit, class token"])
def test_pytorch_grad_cam_agrees_on_transformers(name: str) -> None:
    other = pytest.importorskip("pytorch_grad_cam")
    targets = pytest.importorskip("pytorch_grad_cam.utils.model_targets")
    torch.manual_seed(2)
    make, side = NETWORKS[name]
    model, pixels = make().eval(), torch.randn(1, 3, side, side)

    def on_grid(tokens: torch.Tensor) -> torch.Tensor:
        return tokens[:, model.num_prefix_tokens :].unflatten(1, (side // 16, side // 16)).permute(0, 3, 1, 2)

    with other.GradCAM(model, [model.blocks[-1].norm1], reshape_transform=on_grid) as reference:
        for output in range(3):
            expected = reference(pixels, [targets.ClassifierOutputTarget(output)])[0]
            assert grad_cam(model, pixels, output) == pytest.approx(expected, abs=1e-4)
