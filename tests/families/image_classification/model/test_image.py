"""Image backbones: what is loaded, adapted, frozen and saved, against timm and torchvision themselves."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision import models

from tests.user_error import user_error
from tunebook.config.optim import OptimConfig
from tunebook.config.schema import AdaptConfig, Method
from tunebook.errors import UserError
from tunebook.families.image_classification.model.final_layer import clips_outputs, final_layer, start_image_at
from tunebook.families.image_classification.model.image import (
    Preprocessing,
    check_memory,
    load_image_model,
    own_preprocessing,
)
from tunebook.families.image_classification.model.image_features import HeadOnFeatures, features_of, image_features_key
from tunebook.families.image_classification.model.image_files import load_saved_image_model, write_image_model
from tunebook.families.image_classification.model.image_source import find_image_model
from tunebook.families.image_classification.options import ImageModel
from tunebook.models.adapt import adapt, add_lora, backbone_linears, check_adapters, merge
from tunebook.models.features import cached_features
from tunebook.models.layers import is_head
from tunebook.models.source import ModelSource
from tunebook.training.parameter_groups import parameter_groups, thaw_steps
from tunebook.training.schedules import group_factors

WEIGHTS = Path(__file__).parents[5] / "shared" / "data" / "weights"
MOBILENET = WEIGHTS / "mobilenetv2_100_imagenet_timm_same_backbone.safetensors"
SQUEEZENET = WEIGHTS / "squeezenet1_1_imagenet_torchvision_backbone.safetensors"
Made = tuple[nn.Module, ModelSource, Preprocessing]


def made(
    name: str, outputs: int = 3, fresh: bool = True, dropout: float | None = None, options: Any = None, **pre: Any
) -> Made:
    """A model, what it came from and what it takes; in evaluation mode."""
    torch.manual_seed(0)
    config = ImageModel(name=name, dropout=dropout, **(options or {}))
    source = find_image_model(config, weights=not fresh)
    preprocessing = own_preprocessing(source, **pre)
    method = Method.scratch if fresh else Method.full
    return load_image_model(source, config, method, outputs, preprocessing).eval(), source, preprocessing


def pixels(pre: Preprocessing, rows: int = 4) -> Tensor:
    return torch.randn(rows, pre.channels, pre.size, pre.size, generator=torch.Generator().manual_seed(1))


def shaken(model: nn.Module) -> nn.Module:
    """Every weight and statistic moved, so that nothing is at its start."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.05 * torch.rand(tensor.shape, generator=generator))
    return model


@torch.no_grad()
def outputs_of(model: nn.Module, x: Tensor) -> Tensor:
    answer: Tensor = model.eval()(x)
    return answer


def test_preprocessing_goes_through_json_and_refuses_what_cannot_be():
    pre = Preprocessing(28, 2, (0.1, 0.2), (0.3, 0.4), "bilinear", "crop")
    told = json.loads(json.dumps(pre.to_json()))
    assert Preprocessing.from_json(told) == pre
    for key, wrong in (
        ("size", 0),
        ("size", "28"),
        ("channels", 3),
        ("mean", [0.1, float("nan")]),
        ("mean", None),
        ("std", [0.3, 0.0]),
        ("interpolation", "magic"),
        ("fit", "squeeze"),
        ("colour", "blue"),
    ):
        with pytest.raises(ValueError):
            Preprocessing.from_json({**told, key: wrong})
    with pytest.raises(ValueError, match="incomplete"):
        Preprocessing.from_json({key: value for key, value in told.items() if key != "std"})


def test_the_pictures_are_those_that_the_weights_were_trained_on():
    starter = find_image_model(ImageModel(name="starter_image"))
    assert own_preprocessing(starter) == Preprocessing(64, 3, (0.5,) * 3, (0.5,) * 3, "bicubic", "pad")
    given = own_preprocessing(starter, size=50, channels=1, mean=[0.2], std=[0.3], fit="stretch")
    assert given == Preprocessing(50, 1, (0.2,), (0.3,), "bicubic", "stretch")
    fresh = find_image_model(ImageModel(name="resnet18"), weights=False)
    assert own_preprocessing(fresh, size=32).mean == (0.5, 0.5, 0.5)


def test_imagenets_normalisation_is_averaged_for_one_channel_and_repeated_for_more(tmp_path: Path):
    save_file(timm.create_model("resnet10t").state_dict(), tmp_path / "w.safetensors")
    source = find_image_model(ImageModel(name="resnet10t", weights=str(tmp_path / "w.safetensors")))
    own = timm.get_pretrained_cfg("resnet10t")
    assert own_preprocessing(source).mean == own.mean == (0.485, 0.456, 0.406)
    assert own_preprocessing(source, channels=1).mean == pytest.approx((0.449,))
    assert own_preprocessing(source, channels=1).std == pytest.approx((0.226,))
    assert own_preprocessing(source, channels=4).std == (0.229, 0.224, 0.225, 0.229)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("test_vit", {"size": 100}, "divisible by patch size"),
        ("convnext_tiny", {"size": 28}, "does not take pictures of 3 x 28 x 28"),
        ("test_resnet", {"size": 0}, "size must be"),
        ("test_resnet", {"mean": [0.1, 0.2]}, "mean must be 3 numbers"),
        ("torchvision/resnet18", {"channels": 1}, "3 channels"),
        ("torchvision/vit_b_16", {"size": 64}, "does not take pictures"),
    ],
)
def test_pictures_that_an_architecture_does_not_take_are_refused(name: str, options: Any, said: str):
    with pytest.raises(UserError, match=said):
        own_preprocessing(find_image_model(ImageModel(name=name), weights=False), **options)


def test_an_argument_that_an_architecture_has_not_is_refused():
    with user_error("model.bad-argument", where="model.args", match="unexpected keyword argument 'colour'") as caught:
        made("test_vit", options={"args": {"colour": 1}})
    assert caught.value.where == "model.args"


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet"])
def test_one_channel_and_an_odd_size(name: str):
    size = 48 if name == "test_vit" else 45
    model, _, pre = made(name, outputs=5, size=size, channels=1)
    answer = outputs_of(model, pixels(pre))
    assert answer.shape == (4, 5) and answer.isfinite().all() and answer.dtype == torch.float32
    assert not final_layer(model)[1].bias.any()


def test_pretrained_weights_are_those_of_the_file_and_the_final_layer_is_new():
    model, source, pre = made("starter_image", fresh=False)
    reference = timm.create_model(f"local-dir:{source.folder}", pretrained=True).float().eval()
    x = pixels(pre)
    with torch.no_grad():
        features = model.forward_head(model.forward_features(x), pre_logits=True)
        torch.testing.assert_close(features, reference(x))
    one, _, _ = made("starter_image", fresh=False, channels=1)
    # A grey picture is to the added weights of the three colours what it was to them; the file has half precision.
    summed = model.stem.conv.weight.sum(1, keepdim=True)
    torch.testing.assert_close(one.stem.conv.weight, summed, atol=1e-3, rtol=1e-3)


def test_a_classifier_in_the_file_is_not_kept_even_of_the_same_size(tmp_path: Path):
    theirs = timm.create_model("test_resnet", num_classes=3)
    save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    model, _, _ = made("test_resnet", fresh=False, options={"weights": str(tmp_path / "w.safetensors")}, size=32)
    assert torch.equal(model.layer4[0].conv1.weight, theirs.layer4[0].conv1.weight)
    assert not torch.equal(model.fc.weight, theirs.fc.weight)


def test_position_embeddings_are_resized_to_other_pictures(tmp_path: Path):
    theirs = timm.create_model("test_vit")
    save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    options = {"weights": str(tmp_path / "w.safetensors")}
    model, _, pre = made("test_vit", fresh=False, options=options, size=64)
    assert model.pos_embed.shape[1] == (64 // 16) ** 2 + 1 and outputs_of(model, pixels(pre)).isfinite().all()
    assert torch.equal(model.blocks[3].attn.qkv.weight, theirs.blocks[3].attn.qkv.weight)


@pytest.mark.parametrize("name", ["test_resnet", "torchvision/resnet18"])
def test_weights_of_something_else_are_refused(name: str, tmp_path: Path):
    file = tmp_path / "w.safetensors"
    own = (timm.create_model(name) if name == "test_resnet" else models.resnet18()).state_dict()
    halved = {key: tensor for key, tensor in own.items() if not key.startswith("layer4")}
    first = next(key for key in own if key.endswith("conv1.weight") or key == "conv1.0.weight")
    for state, said in (
        (halved, r"it has \d+ % of the backbone's weights"),
        ({f"x{key}": tensor for key, tensor in own.items()}, "it has 0 %"),
        ({**own, first: own[first][:-1].contiguous()}, first),
    ):
        save_file(state, file)
        with user_error("model.mismatch", match=said) as caught:
            made(name, fresh=False, options={"weights": str(file)}, size=64)
        assert caught.value.where == str(file)


def test_torchvisions_own_files_are_read_also_with_the_names_of_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    theirs = models.densenet121()
    old = re.compile(r"(denselayer\d+\.(?:norm|conv))([12])\.")
    file = tmp_path / "hub" / "checkpoints" / models.DenseNet121_Weights.DEFAULT.url.rpartition("/")[2]
    file.parent.mkdir(parents=True)
    torch.save({old.sub(r"\1.\2.", name): tensor for name, tensor in theirs.state_dict().items()}, file)
    model, _, _ = made("torchvision/densenet121", fresh=False, size=32)
    expected = theirs.features.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.features.state_dict().items())


def test_dropout_is_set_or_refused():
    model, _, _ = made("test_vit", dropout=0.3, size=32)
    assert model.head_drop.p == 0.3
    squeeze, _, _ = made("torchvision/squeezenet1_1", dropout=0.2, size=32)
    assert {m.p for m in squeeze.modules() if isinstance(m, nn.Dropout)} == {0.2}
    with user_error("model.no-dropout", where="model.dropout", match="no dropout to set"):
        made("torchvision/resnet18", dropout=0.2, size=32)
    with user_error("config.out-of-range", where="model.dropout", match="from 0 to under 1"):
        made("test_vit", dropout=1.0, size=32)


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("test_resnet", "fc", nn.Linear),
        ("test_convnext", "head.fc", nn.Linear),
        ("test_vit", "head", nn.Linear),
        ("test_efficientnet", "classifier", nn.Linear),
        ("torchvision/resnet18", "fc", nn.Linear),
        ("torchvision/squeezenet1_1", "classifier.1", nn.Conv2d),
        ("torchvision/mobilenet_v3_small", "classifier.3", nn.Linear),
        ("torchvision/swin_t", "head", nn.Linear),
    ],
)
def test_the_final_layer_is_the_head_and_nothing_else_is(name: str, head: str, kind: type[nn.Module]):
    model, _, _ = made(name, outputs=7, size=64)
    found, layer = final_layer(model)
    assert found == head and type(layer) is kind and layer.weight.shape[0] == 7
    assert {n for n, _ in model.named_parameters() if is_head(n, model)} == {f"{head}.weight", f"{head}.bias"}


def test_two_heads_are_too_many():
    with torch.device("meta"), user_error("model.no-final-layer", where="model.name", match="no single final layer"):
        final_layer(timm.create_model("deit_tiny_distilled_patch16_224"))


def test_the_final_layer_starts_at_the_logits_given():
    model, _, pre = made("test_resnet", size=32)
    logits = torch.tensor([-2.0, 0.5, 1.0])
    nn.init.zeros_(model.fc.weight)
    start_image_at(model, None)
    assert not model.fc.bias.any()
    start_image_at(model, logits)
    torch.testing.assert_close(outputs_of(model, pixels(pre, 2)), logits.expand(2, 3))
    squeeze, _, _ = made("torchvision/squeezenet1_1", size=32)
    start_image_at(squeeze, logits)  # its ReLU would cut the first off, and with it the gradient
    assert not squeeze.classifier[1].bias.any() and clips_outputs(squeeze) and not clips_outputs(model)


@pytest.mark.skipif(not MOBILENET.is_file(), reason="the real MobileNetV2 weights are not here")
def test_real_weights_from_a_file_need_the_arguments_they_were_trained_with():
    options = {"weights": str(MOBILENET), "args": {"pad_type": "same"}}
    model, _, pre = made("mobilenetv2_100", fresh=False, options=options, size=96, mean=[0.5], std=[0.5])
    same = timm.create_model("mobilenetv2_100", pad_type="same", num_classes=0).eval()
    same.load_state_dict(load_file(MOBILENET))
    batches = [{"inputs": {"x": pixels(pre)}, "row": torch.arange(4)}]
    features = features_of(model, batches, 4, torch.device("cpu"))
    assert np.isfinite(features).all() and features.shape == (4, 1280)
    assert min(np.abs(features[i] - features[j]).max() for i in range(4) for j in range(i)) > 0.01
    np.testing.assert_allclose(features, outputs_of(same, pixels(pre)).numpy(), atol=1e-4)
    plain, _, _ = made("mobilenetv2_100", fresh=False, options={"weights": str(MOBILENET)}, size=96)
    assert not np.allclose(outputs_of(plain, pixels(pre)).numpy(), outputs_of(model, pixels(pre)).numpy(), atol=1e-3)


@pytest.mark.skipif(not SQUEEZENET.is_file(), reason="the real SqueezeNet weights are not here")
def test_real_weights_of_a_torchvision_backbone_without_classifier():
    model, _, pre = made("torchvision/squeezenet1_1", fresh=False, options={"weights": str(SQUEEZENET)}, size=96)
    assert (pre.mean, pre.interpolation) == ((0.485, 0.456, 0.406), "bilinear")
    plain = models.squeezenet1_1().eval()
    plain.load_state_dict(load_file(SQUEEZENET), strict=False)
    torch.testing.assert_close(outputs_of(model.features, pixels(pre)), outputs_of(plain.features, pixels(pre)))


@pytest.mark.parametrize(
    ("name", "channels", "size"), [("test_vit", 1, 32), ("test_convnext", 3, 64), ("efficientvit_m0", 3, 64)]
)
def test_a_saved_timm_model_opens_in_plain_timm(name: str, channels: int, size: int, tmp_path: Path):
    model, source, pre = made(name, channels=channels, size=size)
    write_image_model(tmp_path, shaken(model), source, pre, ["a", "b", "c"])
    expected = outputs_of(model, pixels(pre))
    opened = timm.create_model(f"local-dir:{tmp_path}", pretrained=True)
    torch.testing.assert_close(outputs_of(opened, pixels(pre)), expected)
    assert list(timm.data.resolve_data_config({}, model=opened)["input_size"]) == [channels, size, size]
    assert timm.data.resolve_data_config({}, model=opened)["mean"] == list(pre.mean)
    by_name = {"num_classes": 3, "in_chans": channels, "checkpoint_path": str(tmp_path / "model.safetensors")}
    if name != "test_convnext":
        by_name["img_size"] = size
    torch.testing.assert_close(outputs_of(timm.create_model(name, **by_name), pixels(pre)), expected)
    torch.testing.assert_close(outputs_of(load_saved_image_model(tmp_path), pixels(pre)), expected)


def test_a_saved_model_keeps_the_arguments_of_its_architecture_and_can_be_tuned_on(tmp_path: Path):
    model, source, pre = made("test_efficientnet", size=45, options={"args": {"pad_type": "same"}})
    write_image_model(tmp_path, shaken(model), source, pre, ["a", "b", "c"])
    opened = timm.create_model(f"local-dir:{tmp_path}", pretrained=True)
    torch.testing.assert_close(outputs_of(opened, pixels(pre)), outputs_of(model, pixels(pre)))
    assert json.loads((tmp_path / "config.json").read_text())["label_names"] == ["a", "b", "c"]
    again, _, other = made(str(tmp_path), outputs=2, fresh=False)
    assert other == pre and torch.equal(again.conv_head.weight, model.conv_head.weight)
    assert again.classifier.weight.shape[0] == 2


def test_a_saved_model_of_a_fixed_size_is_tuned_on_at_that_size(tmp_path: Path):
    model, source, pre = made("efficientvit_m0", size=64)  # its layers are made for 224 pixels unless it is told
    write_image_model(tmp_path, shaken(model), source, pre, ["a", "b", "c"])
    again, _, other = made(str(tmp_path), outputs=2, fresh=False)
    assert other == pre
    ours, theirs = dict(again.named_parameters()), dict(model.named_parameters())
    assert all(torch.equal(ours[name], each) for name, each in theirs.items() if not is_head(name, model))


def test_a_saved_torchvision_model_opens_in_plain_torchvision(tmp_path: Path):
    model, source, pre = made("torchvision/squeezenet1_1", size=32)
    write_image_model(tmp_path, shaken(model), source, pre, ["a", "b", "c"])
    told = json.loads((tmp_path / "config.json").read_text())
    assert (told["library"], told["architecture"], told["num_classes"]) == ("torchvision", "squeezenet1_1", 3)
    plain = models.get_model(told["architecture"], num_classes=told["num_classes"])
    plain.load_state_dict(load_file(tmp_path / "model.safetensors"))
    expected = outputs_of(model, pixels(pre))
    torch.testing.assert_close(outputs_of(plain, pixels(pre)), expected)
    torch.testing.assert_close(outputs_of(load_saved_image_model(tmp_path), pixels(pre)), expected)
    again, _, other = made(str(tmp_path), outputs=2, fresh=False)
    assert other == pre and torch.equal(again.features[0].weight, model.features[0].weight)


def test_a_saved_model_that_is_not_whole_is_refused(tmp_path: Path):
    model, source, pre = made("test_resnet", size=32)
    write_image_model(tmp_path, model, source, pre, ["a", "b", "c"])
    config = json.loads((tmp_path / "config.json").read_text())
    for changed in ({"architecture": "os.system"}, {"architecture": "test_vit"}, {"library": "torchvision"}):
        (tmp_path / "config.json").write_text(json.dumps({**config, **changed}))
        with user_error("model.load-failed"):
            load_saved_image_model(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    state = load_file(tmp_path / "model.safetensors")
    del state["layer2.0.conv1.weight"]
    save_file(state, tmp_path / "model.safetensors")
    with user_error("model.load-failed", match=r"layer2\.0\.conv1\.weight"):
        load_saved_image_model(tmp_path)


def test_lora_on_a_vit_learns_and_merges_into_a_plain_model():
    plain, _, pre = made("test_vit", size=32)
    names = [n for n, _ in plain.named_parameters()]
    fresh = outputs_of(plain, pixels(pre))
    model = adapt(plain, AdaptConfig(method=Method.lora, lora_rank=2))
    learn = {n.removeprefix("base_model.model.") for n, p in model.named_parameters() if p.requires_grad}
    assert {n for n in learn if "lora_" not in n} == {"head.weight", "head.bias"}
    assert {n.split(".")[3] for n in learn if n.startswith("blocks.0.") and "attn" in n} == {"qkv", "proj"}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
    for _ in range(3):
        loss = nn.functional.cross_entropy(model(pixels(pre)), torch.tensor([0, 1, 2, 0]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    adapted = outputs_of(model, pixels(pre))
    merged = merge(model)
    torch.testing.assert_close(outputs_of(merged, pixels(pre)), adapted, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(adapted, fresh, atol=1e-2) and [n for n, _ in merged.named_parameters()] == names


def test_adapters_that_a_model_reads_past_are_refused():
    model = add_lora(timm.create_model("eva02_tiny_patch14_224", num_classes=2, img_size=28), AdaptConfig())
    model(torch.zeros(1, 3, 28, 28)).sum().backward()
    with user_error("model.unused-layers", where="adapt.lora_targets", match="qkv") as caught:
        check_adapters(model)
    assert caught.value.fix is not None and "proj" in caught.value.fix and "qkv" not in caught.value.fix


def test_lora_needs_linear_layers_that_are_called():
    model, _, _ = made("test_resnet", size=32)
    with user_error("model.no-linear-layers", where="adapt.method", match="LoRA needs linear layers") as caught:
        adapt(model, AdaptConfig(method=Method.lora))
    assert caught.value.where == "adapt.method"
    with torch.device("meta"):
        linear = backbone_linears(models.vit_b_16())
    assert len(linear) == 2 * 12 and not any("out_proj" in n for n in linear)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "torchvision/resnet18"])
def test_the_head_on_features_is_the_model(name: str, tmp_path: Path):
    model, source, pre = made(name, size=64)
    shaken(model).train()
    x, seen = pixels(pre, 5), []
    batches = [
        {"inputs": {"x": x[[3, 0]]}, "row": torch.tensor([3, 0])},
        {"inputs": {"x": x[[1, 4, 2]]}, "row": torch.tensor([1, 4, 2])},
    ]
    key = image_features_key(source, "pixels")
    features = cached_features(tmp_path, key, lambda: features_of(model, batches, 5, torch.device("cpu"), seen.append))
    assert seen == [2, 3] and model.training and features.dtype == np.float32
    head = HeadOnFeatures(model).eval()
    expected = outputs_of(model, x)
    torch.testing.assert_close(outputs_of(head, torch.tensor(features)), expected, atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(1.0)
    assert all(is_head(n, head) for n, _ in head.named_parameters())
    assert not torch.allclose(outputs_of(model, x), expected), "the weights are shared"
    assert image_features_key(source, "others") != key


def test_a_model_that_goes_on_after_its_final_layer_has_no_features():
    model, _, pre = made("torchvision/squeezenet1_1", size=32)
    batch = {"inputs": {"x": pixels(pre)}, "row": torch.arange(4)}
    with user_error("model.no-final-layer", where="adapt.method", match="adapt=head") as caught:
        features_of(shaken(model), [batch], 4, torch.device("cpu"))
    assert "adapt=full" in str(caught.value.fix)


OPTIM = OptimConfig(lr=1.0, head_lr=10.0, layer_decay=0.5, weight_decay=0.0)


def rates(model: nn.Module, steps: int = 0) -> dict[str, tuple[float, int]]:
    """Learning rate and first step of each weight, by name."""
    names = {id(p): n for n, p in model.named_parameters()}
    groups = parameter_groups(model, OPTIM, steps)
    return {names[id(p)]: (g["lr"], g["from_step"]) for g in groups for p in g["params"]}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "test_resnet",
            {
                "conv1.0.weight": (0.0625, 100),
                "layer1.0.conv1.weight": (0.125, 80),
                "layer2.0.conv1.weight": (0.25, 60),
                "layer3.0.bn1.bias": (0.5, 40),
                "layer4.0.conv1.weight": (1.0, 20),
                "fc.bias": (10.0, 0),
            },
        ),
        (
            "test_vit",
            {
                "cls_token": (1 / 64, 100),
                "blocks.0.attn.qkv.weight": (1 / 32, 86),
                "blocks.4.mlp.fc1.bias": (0.5, 29),
                "blocks.5.attn.qkv.weight": (1.0, 14),
                "norm.weight": (1.0, 14),
                "head.weight": (10.0, 0),
            },
        ),
        (
            "test_convnext",
            {
                "stem.0.weight": (0.0625, 100),
                "stages.0.blocks.0.conv_dw.weight": (0.125, 80),
                "stages.3.downsample.1.weight": (1.0, 20),
                "head.norm.weight": (1.0, 20),
                "head.fc.weight": (10.0, 0),
            },
        ),
        (
            "torchvision/resnet18",
            {
                "conv1.weight": (0.0625, 100),
                "bn1.bias": (0.0625, 100),
                "layer1.0.conv1.weight": (0.125, 80),
                "layer4.1.conv2.weight": (1.0, 20),
                "fc.weight": (10.0, 0),
            },
        ),
        (
            "torchvision/swin_t",
            {
                "features.0.0.weight": (1 / 128, 100),
                "features.6.reduction.weight": (0.5, 25),
                "features.7.1.norm1.weight": (1.0, 12),
                "norm.weight": (1.0, 12),
                "head.weight": (10.0, 0),
            },
        ),
    ],
)
def test_rates_halve_and_layers_thaw_from_the_top(name: str, expected: dict[str, tuple[float, int]]):
    model, _, _ = made(name, size=64)
    found = rates(model, steps=100)
    assert set(found) == {n for n, _ in model.named_parameters()}
    assert {key: found[key] for key in expected} == expected
    assert {first for _, first in rates(model).values()} == {0}


def test_the_steps_of_thawing_worked_out_by_hand():
    assert thaw_steps([2, 0, 1, 1, 0], 30) == {0: 10, 1: 20, 2: 30}
    assert thaw_steps([0, 1, 2], 10) == {0: 3, 1: 7, 2: 10}
    assert thaw_steps([0, 1, 2], 0) == {0: 0, 1: 0, 2: 0}
    assert thaw_steps([], 10) == {}


def test_a_group_stays_as_it_is_until_its_step_then_learns():
    torch.manual_seed(0)
    low, top, head = (nn.Parameter(torch.ones(1)) for _ in range(3))
    steps = {"low": 4, "top": 2, "head": 0}
    groups = [{"params": [p], "lr": 0.1, "from_step": s} for p, s in zip((low, top, head), steps.values(), strict=True)]
    factors = group_factors(groups, lambda step: 1.0 - step / 10)
    assert [[f(step) for step in range(6)] for f in factors] == [
        [0.0, 0.0, 0.0, 0.0, 0.6, 0.5],
        [0.0, 0.0, 0.8, 0.7, 0.6, 0.5],
        [1.0, 0.9, 0.8, 0.7, 0.6, 0.5],
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.5)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factors)
    moved = []
    for _ in range(6):
        before = [p.item() for p in (low, top, head)]
        (low + top + head).square().sum().backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        moved.append([p.item() != was for p, was in zip((low, top, head), before, strict=True)])
    assert moved == [[i >= 4, i >= 2, True] for i in range(6)]


def test_a_batch_that_no_machine_could_hold_is_refused_before_it_is_tried(tmp_path: Path):
    source = find_image_model(ImageModel(name="test_resnet.r160_in1k"), weights=False)
    pre = own_preprocessing(source, size=64)
    check_memory(source, pre, 8)
    with user_error(
        "training.too-little-memory", where="recipe.size, data.batch_size", match="GB for activations"
    ) as caught:
        check_memory(source, pre, 10**9)
    assert "data.batch_size=" in str(caught.value.fix)
