"""Weights of image models under other names, of other shapes and not all there: counted, prefixed or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from timm.models import save_for_hf
from torch import Tensor
from torchvision import models

from tests.user_error import user_error
from tunebook.families.image_classification.model.image_fill import FilledModel, fill
from tunebook.families.image_classification.model.image_source import find_image_model
from tunebook.families.image_classification.options import ImageModel

Weights = dict[str, Tensor]
TIMM, TORCHVISION = "test_resnet", "torchvision/shufflenet_v2_x0_5"


def weights_of(name: str) -> Weights:
    """Of a network without a final layer's worth keeping, from fixed random numbers."""
    torch.manual_seed(0)
    if name.startswith("torchvision/"):
        return dict(models.get_model(name.partition("/")[2], weights=None).state_dict())
    return dict(timm.create_model(name).state_dict())


def filled(name: str, weights: Weights, folder: Path, channels: int = 3, size: int = 64) -> FilledModel:
    """The architecture with a file of these weights."""
    file = folder / "w.safetensors"
    save_file({key: tensor.clone().contiguous() for key, tensor in weights.items()}, file)
    return fill(find_image_model(ImageModel(name=name, weights=str(file))), 2, channels, size)


def needed(weights: Weights, head: str) -> set[str]:
    """Parameters and running statistics, which must be in the file."""
    return {name for name in weights if not name.startswith(head) and "num_batches" not in name}


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "backbone.", "_orig_mod.", "model.module._orig_mod."])
@pytest.mark.parametrize("name", [TIMM, TORCHVISION, "test_vit"])
def test_a_wrappers_name_is_taken_off_and_all_is_as_in_the_file(name: str, prefix: str, tmp_path: Path):
    weights = weights_of(name)
    made = filled(name, {prefix + key: tensor for key, tensor in weights.items()}, tmp_path, size=160)
    backbone = needed(weights, "head." if name == "test_vit" else "fc.")
    assert (made.taken_off, made.tensors, made.unused, made.fresh) == (prefix, len(backbone), (), ())
    own = made.model.state_dict()
    assert all(torch.equal(own[key], weights[key]) for key in backbone)
    said = f"all {len(backbone)} tensors are in the file"
    assert made.in_words() == said + (f" ('{prefix}' was taken off their names)" if prefix else "")


def without(part: str) -> Callable[[Weights], Weights]:
    return lambda w: {name: tensor for name, tensor in w.items() if part not in name}


REFUSED: dict[str, tuple[str, Callable[[Weights], Weights], str]] = {
    "a layer is missing": (TIMM, without("layer3.0.conv1"), "1 of 75 tensors are not in the file, such as layer3.0.co"),
    "statistics are missing": (TIMM, without("running_var"), "such as conv1.1.running_var"),
    "a bias is missing": (TIMM, without("layer1.0.bn1.bias"), "it has 99 % of the backbone's weights, and 1 of"),
    "a layer more": (TIMM, lambda w: {**w, "layer2.7.conv1.weight": torch.ones(2)}, "such as layer2.7.conv1.weight"),
    "a bias more": (TIMM, lambda w: {**w, "layer2.0.conv1.bias": torch.ones(2)}, "1 tensors in the file have no pl"),
    "no name is known": (TIMM, lambda w: {f"x{i}": t for i, t in enumerate(w.values())}, "it has 0 %"),
    "no tensors": (TIMM, lambda w: {}, "the file holds no tensors"),
    "another shape": (TIMM, lambda w: {**w, "layer1.0.bn1.bias": torch.ones(3)}, "layer1.0.bn1.bias"),
    "a layer is missing, torchvision": (TORCHVISION, without("conv5.0"), "1 of 280 tensors are not in the file"),
    "statistics are missing, torchvision": (TORCHVISION, without("running_mean"), "such as conv1.1.running_mean"),
    "a layer more, torchvision": (
        TORCHVISION,
        lambda w: {**w, "stage2.9.x.weight": torch.ones(2)},
        "stage2.9.x.weight",
    ),
    "another shape, torchvision": (TORCHVISION, lambda w: {**w, "conv5.1.bias": torch.ones(3)}, "conv5.1.bias"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_weights_that_are_not_all_there_are_refused(case: str, tmp_path: Path):
    name, change, said = REFUSED[case]
    with user_error("model.mismatch", where=str(tmp_path / "w.safetensors")) as caught:
        filled(name, change(weights_of(name)), tmp_path)
    assert said in caught.value.what


def test_a_deeper_network_of_the_same_kind_is_refused(tmp_path: Path):
    with user_error("model.mismatch", match=r"have no place in the backbone, such as layer1\.2\.bn1\.bias"):
        filled("torchvision/resnet18", weights_of("torchvision/resnet34"), tmp_path)


def test_what_a_model_makes_by_itself_and_other_parts_may_be_there_or_not(tmp_path: Path):
    weights = weights_of(TIMM)
    assert filled(TIMM, without("num_batches_tracked")(weights), tmp_path).tensors == 75
    assert filled(TIMM, without("fc.")(weights), tmp_path).tensors == 75
    both = filled(TIMM, {**weights, "decoder.weight": torch.ones(2)}, tmp_path)
    assert both.unused == ("decoder.weight",)
    assert "; 1 others there are not used, such as decoder.weight" in both.in_words()
    lightning = {f"model.{name}": tensor for name, tensor in weights.items()}
    made = filled(TIMM, {**lightning, "criterion.weight": torch.ones(2)}, tmp_path)
    assert (made.taken_off, made.unused) == ("model.", ("criterion.weight",))


def test_normalisation_beside_the_final_layer_may_begin_fresh(tmp_path: Path):
    made = filled("test_convnext", without("head.norm")(weights_of("test_convnext")), tmp_path)
    assert made.fresh == ("head.norm.weight", "head.norm.bias")
    assert made.in_words().endswith(
        "tensors are in the file, but head.norm, which begins fresh as the final layer does"
    )


def test_a_folder_of_timms_own_is_counted_and_its_first_layer_adapted(tmp_path: Path):
    theirs = timm.create_model(TIMM, num_classes=5)
    save_for_hf(theirs, tmp_path / "m", safe_serialization=True)
    source = find_image_model(ImageModel(name=str(tmp_path / "m")))
    made = fill(source, 2, 3, 64)
    assert (made.tensors, made.channels, made.taken_off) == (75, None, "")
    grey = fill(source, 2, 1, 64)
    assert (grey.tensors, grey.channels) == (75, 3)
    summed = theirs.state_dict()["conv1.0.weight"].sum(1, keepdim=True)
    torch.testing.assert_close(grey.model.state_dict()["conv1.0.weight"], summed)
    wrapped = {f"module.{name}": tensor for name, tensor in load_file(tmp_path / "m" / "model.safetensors").items()}
    save_file(wrapped, tmp_path / "m" / "model.safetensors")
    assert fill(source, 2, 3, 64).taken_off == "module."
    assert "state_dict" not in vars(fill(source, 2, 3, 64).model)["pretrained_cfg"]


def test_a_file_for_grey_pictures_does_not_fill_a_model_for_colours(tmp_path: Path):
    torch.manual_seed(0)
    grey = dict(timm.create_model(TIMM, in_chans=1).state_dict())
    with user_error("model.mismatch", match="is inconsistent with"):
        filled(TIMM, grey, tmp_path)
    made = filled(TIMM, grey, tmp_path, channels=1)
    assert (made.tensors, made.channels) == (75, None)


def test_a_first_layer_that_cannot_be_adapted_is_refused(tmp_path: Path):
    with user_error("model.mismatch", match="1 of"):
        filled("naflexvit_base_patch16_gap", weights_of("naflexvit_base_patch16_gap"), tmp_path, channels=1)


def test_layers_that_ask_for_their_version_are_filled(tmp_path: Path):
    weights = weights_of("torchvision/mnasnet0_5")
    made = filled("torchvision/mnasnet0_5", weights, tmp_path)
    assert torch.equal(made.model.state_dict()["layers.0.weight"], weights["layers.0.weight"])
    assert made.tensors == len(needed(weights, "classifier."))


def test_positions_that_are_not_made_fit_for_another_size_are_refused_with_theirs(tmp_path: Path):
    weights = weights_of("convit_tiny")
    with user_error("model.wrong-size", where="recipe.size", match="are for pictures of 224 x 224") as caught:
        filled("convit_tiny", weights, tmp_path, size=64)
    assert str(caught.value.fix).startswith("recipe.size=224")
    with user_error("model.mismatch", match="size mismatch for pos_embed"):
        filled("convit_tiny", without("blocks.3.")(weights), tmp_path, size=64)


def test_tied_weights_may_be_in_the_file_under_one_of_their_names(tmp_path: Path):
    weights = weights_of("coat_tiny")  # the layers of a stage share their position encoding
    first = filled("coat_tiny", weights, tmp_path, size=224)
    once = {name: t for name, t in weights.items() if not name.startswith(("cpe", "crpe", "serial_blocks1.0.cpe"))}
    assert filled("coat_tiny", once, tmp_path, size=224).tensors == first.tensors
    with user_error("model.mismatch", match="such as cpe1.proj.weight"):
        filled("coat_tiny", {n: t for n, t in weights.items() if "cpe" not in n}, tmp_path, size=224)
