"""Sizes of pictures that an architecture does not take, or does not look at as a whole."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.user_error import user_error
from tunebook.families.image_classification.model.image import own_preprocessing
from tunebook.families.image_classification.model.image_build import build
from tunebook.families.image_classification.model.image_sizes import Unseen, check_seen, unseen
from tunebook.families.image_classification.model.image_source import find_image_model
from tunebook.families.image_classification.options import ImageModel
from tunebook.models.source import ModelSource


class Patches(nn.Module):
    """Patches of 16 that do not overlap; what does not fill one is cut off."""

    def __init__(self, cut: tuple[int, int, int, int] = (0, 0, 0, 0), padding: int = 0) -> None:
        super().__init__()
        self.cut = nn.ConstantPad2d(tuple(-each for each in cut), 0)
        self.patches = nn.Conv2d(3, 8, 16, stride=16, padding=padding)
        self.fc = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs ``[rows, 2]``."""
        return self.fc(self.patches(self.cut(x)).mean((2, 3)))  # type: ignore[no-any-return]


def source_of(name: str, **options: Any) -> ModelSource:
    return find_image_model(ImageModel(name=name, **options), weights=False)


@pytest.mark.parametrize(
    ("model", "size", "found", "said"),
    [
        (Patches(), (40, 40), Unseen(0, 8, 0, 8), "the last 8 rows and the last 8 columns"),
        (Patches(), (48, 33), Unseen(right=1), "the last column"),
        (Patches(), (48, 48), Unseen(), ""),
        (Patches(padding=4), (40, 40), Unseen(), ""),  # 48 with the padding
        (
            Patches(cut=(3, 1, 2, 4)),  # left, right, top, bottom
            (54, 52),
            Unseen(2, 4, 3, 1),
            "the first 2 rows, the last 4 rows, the first 3 columns and the last column",
        ),
    ],
)
def test_strips_that_no_filter_reaches_are_found(model: nn.Module, size: tuple[int, int], found: Unseen, said: str):
    assert unseen(model.eval(), torch.randn(1, 3, *size)) == found
    assert (found.in_words() if found else "") == said


def test_a_silent_layer_is_not_taken_for_an_edge_that_is_never_looked_at():
    model = Patches().eval()
    picture = torch.zeros(1, 3, 48, 48)
    picture[..., :32] = 1  # the last patches are below zero by their bias alone, and stay so for small changes
    with torch.no_grad():
        model.patches.weight.fill_(1 / 768)
        model.patches.bias.fill_(-0.5)
    silent = nn.Sequential(model.cut, model.patches, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    silent.add_module("fc", model.fc)
    assert unseen(silent, picture) == Unseen()


def test_a_size_whose_edge_is_cut_off_is_refused_with_those_that_fit():
    source = source_of("test_convnext")  # patches of 4
    torch.manual_seed(0)
    model = build(source, 2, 3, 50).eval()
    with user_error(
        "model.unseen-pixels", where="recipe.size", match="the last 2 rows and the last 2 columns"
    ) as caught:
        check_seen(source, model, torch.randn(1, 3, 50, 50))
    assert caught.value.fix == "recipe.size=48 or recipe.size=52"


@pytest.mark.parametrize(
    "name", ["test_resnet", "test_vit", "test_efficientnet", "test_convnext", "torchvision/shufflenet_v2_x0_5"]
)
def test_nothing_is_missed_at_sizes_that_fit(name: str):
    source = source_of(name)
    torch.manual_seed(0)
    model = build(source, 2, 3, 64).eval()
    assert check_seen(source, model, torch.randn(1, 3, 64, 64)) == ""


def test_at_the_size_of_the_weights_an_edge_is_told_and_not_refused():
    source = source_of("xception41")  # 299
    torch.manual_seed(0)
    model = Patches().eval()
    said = "the last 11 rows and the last 11 columns of 299 make no difference to this model"
    assert check_seen(source, model, torch.randn(1, 3, 299, 299)) == said


def test_a_size_that_is_not_taken_is_refused_with_those_that_are():
    with user_error("model.wrong-size", where="recipe.size", match="does not take pictures of 3 x 100 x 100") as caught:
        own_preprocessing(source_of("test_vit"), size=100)  # patches of 16
    assert str(caught.value.fix).startswith("recipe.size=96 or recipe.size=112 (")
