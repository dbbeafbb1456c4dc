"""Image models that are tried with two pictures before any is decoded: what check says, and what it refuses."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models import PretrainedCfg, build_model_with_cfg, register_model
from torch import Tensor, nn

from tests.conftest import Tunebook
from tests.diagnosed import write_patients, write_table
from tests.user_error import user_error
from tunebook.config.schema import AdaptConfig, Method, TrainConfig
from tunebook.families.image_classification.model.image import own_preprocessing
from tunebook.families.image_classification.model.image_source import find_image_model
from tunebook.families.image_classification.model.image_tried import try_image_model
from tunebook.families.image_classification.options import ImageModel


class Small(nn.Module):
    """A network that looks at a picture as a whole; those below do one thing wrong."""

    def __init__(self, num_classes: int = 1000, in_chans: int = 3, **_: object) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_chans, 8, 3, padding=1)
        self.layer = nn.Linear(8, 8)
        self.fc = nn.Linear(8, num_classes)
        self.num_classes = num_classes

    def features(self, x: Tensor) -> Tensor:
        return self.layer(self.conv(x).relu().mean((2, 3))) + 1  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Outputs ``[rows, classes]``."""
        return self.fc(self.features(x))  # type: ignore[no-any-return]


class LooksAtOthers(Small):
    def features(self, x: Tensor) -> Tensor:
        return super().features(x - x.mean(0))


class HasNoGradient(Small):
    def features(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return super().features(x)


class ForgetsItself(Small):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.register_buffer("own", torch.rand(8), persistent=False)

    def features(self, x: Tensor) -> Tensor:
        return super().features(x) * self.own


class IsNotFinite(Small):
    def features(self, x: Tensor) -> Tensor:
        return super().features(x) * float("inf")


class AnswersEverywhere(Small):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv(x).movedim(1, 3))  # type: ignore[no-any-return]


class IsReadPast(Small):
    def features(self, x: Tensor) -> Tensor:
        pooled = self.conv(x).relu().mean((2, 3))
        return nn.functional.linear(pooled, self.layer.weight, self.layer.bias)


WRONG = {
    "looks_at_others": (LooksAtOthers, Method.full, "model.batch-changes-answers", "beside another one"),
    "has_no_gradient": (HasNoGradient, Method.full, "model.cannot-learn", "no gradient reaches its backbone"),
    "forgets_itself": (ForgetsItself, Method.head, "model.not-restored", "outputs move by"),
    "is_not_finite": (IsNotFinite, Method.head, "model.answers-not-finite", "not finite"),
    "answers_everywhere": (
        AnswersEverywhere,
        Method.full,
        "model.wrong-outputs",
        r"answers \[2, 32, 32, 2\], not \[row",
    ),
    "is_read_past": (IsReadPast, Method.lora, "model.unused-layers", "the layers layer do not take part"),
}


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    """The networks above under timm's own names, as a package of somebody's would register them."""
    for name, (kind, *_) in {**WRONG, "small": (Small,)}.items():

        def make(pretrained: bool = False, kind: Any = kind, name: str = name, **options: Any) -> nn.Module:
            own = PretrainedCfg(classifier="fc", first_conv="conv", input_size=(3, 32, 32))
            options["pretrained_cfg"] = options.get("pretrained_cfg") or own
            return build_model_with_cfg(kind, name, pretrained, **options)  # type: ignore[no-any-return]

        make.__name__, make.__module__ = name, __name__
        register_model(make)
    yield


def tried(folder: Path, name: str, method: Method, size: int = 32, **options: Any) -> dict[str, str]:
    """What is found of timm's architecture with random weights in a file."""
    torch.manual_seed(0)
    file = folder / "w.safetensors"
    save_file(timm.create_model(name).state_dict(), file)
    node = ImageModel(name=name, weights=str(file), **options)
    source = find_image_model(node, weights=method is not Method.scratch)
    config = TrainConfig(model=node, adapt=AdaptConfig(method=method))
    return try_image_model(source, config, own_preprocessing(source, size=size))[1]


@pytest.mark.parametrize(
    ("name", "method", "tensors"),
    [
        ("small", Method.full, 4),
        ("small", Method.lora, 4),
        ("test_resnet", Method.full, 75),
        ("test_resnet", Method.head, 75),
        ("test_vit", Method.lora, 78),
        ("test_vit", Method.scratch, 0),
    ],
)
def test_what_can_be_trained_is_said_and_the_run_is_left_as_it_was(
    name: str, method: Method, tensors: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    place = tmp_path / "temp"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    facts = tried(tmp_path, name, method)
    assert facts == ({"backbone": f"all {tensors} tensors are in the file"} if tensors else {})
    assert os.listdir(place) == []
    node = ImageModel(name=name, weights=str(tmp_path / "w.safetensors"))
    source = find_image_model(node, weights=method is not Method.scratch)
    pre, config = own_preprocessing(source, size=32), TrainConfig(model=node, adapt=AdaptConfig(method=method))
    torch.manual_seed(5)
    np.random.seed(5)
    state = torch.get_rng_state(), np.random.get_state()[1].tolist()
    try_image_model(source, config, pre)
    assert torch.equal(torch.get_rng_state(), state[0]) and np.random.get_state()[1].tolist() == state[1]


@pytest.mark.parametrize("name", WRONG)
def test_what_would_go_wrong_later_is_refused(name: str, tmp_path: Path):
    _, method, code, said = WRONG[name]
    with user_error(code, match=said):
        tried(tmp_path, name, method)


def test_arguments_that_leave_a_model_without_answers_are_refused(tmp_path: Path):
    with user_error("model.bad-argument", where="model.args", match="does not answer a picture"):
        tried(tmp_path, "test_resnet", Method.full, args={"global_pool": ""})


def test_check_says_what_it_found_and_refuses_before_a_picture_is_read(
    tmp_path: Path, tunebook: Tunebook, cache: Path
) -> None:
    rows = write_patients(tmp_path / "images", 24)
    table = write_table(tmp_path / "rows.csv", rows)
    for name in ("test_vit", "test_convnext"):
        torch.manual_seed(0)
        weights = {f"module.{key}": tensor for key, tensor in timm.create_model(name).state_dict().items()}
        save_file(weights, tmp_path / f"{name}.safetensors")
    given = ["check", "recipe=medical_diagnosis", f"data.train={table}", "data.group=patient"]

    def check(name: str, *more: str) -> Any:
        return tunebook(*given, f"model.name={name}", f"model.weights={tmp_path / f'{name}.safetensors'}", *more)

    refused = {
        ("test_convnext", "recipe.size=50"): "the last 2 rows and the last 2 columns of pictures of 50 x 50 pixels",
        ("test_convnext", "recipe.size=64", "model.args={depths: [1, 1, 2, 1]}"): "tensors in the file have no place",
        ("test_vit", "recipe.size=64", "model.args={global_pool: ''}"): "not [rows, classes]",
        ("test_vit", "recipe.size=64", "adapt=lora", "adapt.lora_targets=[nothing]"): "no layer named nothing",
    }
    for (name, *more), said in refused.items():
        done = check(name, *more)
        assert done.returncode == 2 and said in done.stderr, done.stderr
        assert not list(cache.rglob("pixels.bin")) and not done.stdout
    done = check("test_vit", "recipe.size=64", "recipe.channels=1", "adapt=lora")
    assert "backbone: all 78 tensors are in the file ('module.' was taken off their names)\n" in done.stdout
    assert "first layer: made for 3 channels, its weights adapted to 1\n" in done.stdout
    assert "ready to train" in done.stdout
    assert list(cache.rglob("pixels.bin")), "pictures are kept under another name, and the test above says nothing"
