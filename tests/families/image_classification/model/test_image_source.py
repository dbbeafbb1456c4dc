"""Where image models come from, and what is told where they do not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
import yaml
from safetensors.torch import save_file
from torchvision import models

from tests.user_error import user_error
from tunebook.errors import UserError
from tunebook.families.image_classification.model.image_source import find_image_model
from tunebook.families.image_classification.options import ImageModel
from tunebook.models.source import STARTERS, find_model, weights_digest

CONF = Path(__file__).parents[4] / "conf" / "model"


def refused(name: str, weights: bool = True, **options: object) -> UserError:
    with pytest.raises(UserError) as caught:
        find_image_model(ImageModel(name=name, **options), weights)  # type: ignore[arg-type]
    return caught.value


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Weights of a tiny ResNet, as timm names them."""
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"


def test_the_starter_is_a_timm_model_with_the_digest_it_always_had():
    source = find_image_model(ImageModel(name="starter_image"))
    assert (source.library, source.architecture) == ("timm", "regnetx_002")
    assert source.weights == STARTERS / "starter_image" / "model.safetensors"
    assert weights_digest(source) == weights_digest(find_model(ImageModel(name="starter_image")))
    assert hash(source) == hash(find_image_model(ImageModel(name="starter_image")))


@pytest.mark.parametrize("name", ["resnet18", "resnet18.a1_in1k", "timm/resnet18.a1_in1k", "torchvision/resnet18"])
def test_fresh_weights_need_no_hub(name: str):
    source = find_image_model(ImageModel(name=name), weights=False)
    assert source.weights is None and source.name == name
    assert source.architecture == name.rpartition("/")[2]
    assert len(weights_digest(source)) == 64


@pytest.mark.parametrize("name", ["resnet18", "timm/resnet18.a1_in1k"])
def test_weights_that_are_not_there_name_all_ways_out(name: str):
    error = refused(name)
    assert "timm/resnet18.a1_in1k" in error.what and "hub cannot be reached" in error.what
    assert "model.weights=" in str(error.fix) and "adapt=scratch" in str(error.fix)


def test_weights_in_the_hubs_cache_are_found_by_the_name_of_the_architecture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository, commit = tmp_path / "models--timm--test_resnet.r160_in1k", "0" * 40
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    (snapshot / "config.json").write_text(json.dumps({"architecture": "test_resnet", "pretrained_cfg": {}}))
    save_file(timm.create_model("test_resnet").state_dict(), snapshot / "model.safetensors")
    for name in ("test_resnet", "timm/test_resnet.r160_in1k"):
        source = find_image_model(ImageModel(name=name))
        assert (source.name, source.revision, source.library) == (name, commit, "timm")
        assert source.weights == snapshot / "model.safetensors"


def test_torchvision_weights_come_from_its_cache_alone_when_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nothing listens there
    error = refused("torchvision/squeezenet1_1")
    assert "cannot be downloaded" in error.what and "model.weights=" in str(error.fix)
    cached = tmp_path / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    assert str(cached) in str(error.fix)
    torch.save(models.squeezenet1_1().state_dict(), cached)
    assert find_image_model(ImageModel(name="torchvision/squeezenet1_1")).weights == cached


def test_a_weights_file_goes_with_an_architecture_and_its_arguments(file: Path, tmp_path: Path):
    config = ImageModel(name="test_resnet", weights=str(file))
    source = find_image_model(config)
    assert source.weights == file
    assert find_image_model(config, weights=False).weights is None
    elsewhere = tmp_path / "other"
    elsewhere.mkdir()
    moved = ImageModel(name="test_resnet", weights=str(file.rename(elsewhere / file.name)))
    same = weights_digest(find_image_model(moved))
    with_args = ImageModel(name="test_resnet", weights=moved.weights, args={"output_stride": 16})
    assert same != weights_digest(find_image_model(with_args)) and len(same) == 64
    fresh = weights_digest(find_image_model(moved, weights=False))
    assert same != fresh


def test_the_digest_does_not_depend_on_the_folder(file: Path, tmp_path: Path):
    here = weights_digest(find_image_model(ImageModel(name="test_resnet", weights=str(file))))
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(file.read_bytes())
    assert weights_digest(find_image_model(ImageModel(name="test_resnet", weights=str(copy)))) == here


def test_wrong_weights_files_are_told(file: Path, tmp_path: Path):
    assert refused("test_resnet", weights=True, **{"revision": None}).where == "model.name"
    for path, code, said in (
        (tmp_path / "none.safetensors", "model.missing-weights", "There is no file"),
        (tmp_path / "w.pth", "model.not-safetensors", "is not a safetensors file"),
    ):
        if path.suffix == ".pth":
            torch.save({}, path)
        with user_error(code, where="model.weights", match=said):
            find_image_model(ImageModel(name="test_resnet", weights=str(path)))
    file.write_bytes(file.read_bytes()[:-5])
    with user_error("model.damaged-weights"):
        find_image_model(ImageModel(name="test_resnet", weights=str(file)))
    with user_error("model.not-an-architecture", where="model.weights", match="needs the name of an architecture"):
        find_image_model(ImageModel(name="starter_image", weights=str(file)))


def test_names_that_nothing_has():
    assert "resnet18" in str(refused("resnt18").fix)
    assert "torchvision/" not in refused("torchvision/resnet19").what
    assert "resnet18" in str(refused("torchvision/resnet19").fix)
    assert "a1_in1k" in str(refused("resnet18.imagenet").fix)
    assert "IMAGENET1K_V1" in str(refused("torchvision/resnet18.V7").fix)
    assert "no pre-trained weights" in refused("test_mambaout").what
    assert "There is no folder './nothing'" in refused("./nothing").what


def test_arguments_that_other_options_set_are_refused():
    assert refused("test_resnet", args={"num_classes": 4}).where == "model.args"


def test_a_transformers_folder_is_no_image_model():
    error = refused("starter_text")
    assert "transformers (llama)" in error.what and "model=starter_image" in str(error.fix)


def test_a_folder_in_timms_form(tmp_path: Path, file: Path):
    folder = tmp_path / "mine"
    folder.mkdir()
    config = {"architecture": "test_resnet", "model_args": {"output_stride": 16, "in_chans": 3}, "pretrained_cfg": {}}
    (folder / "config.json").write_text(json.dumps(config))
    assert find_image_model(ImageModel(name=str(folder)), weights=False).weights is None
    assert "holds no weights" in refused(str(folder)).what
    file.rename(folder / "model.safetensors")
    source = find_image_model(ImageModel(name=str(folder)))
    assert source.architecture == "test_resnet" and source.args == {"output_stride": 16}
    (folder / "config.json").write_text("[]")
    assert "config.json" in refused(str(folder)).what


def test_the_backbones_that_ship_as_configs_are_weights_that_timm_has():
    names = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))["name"] for path in CONF.glob("*.yaml")}
    known = set(timm.list_pretrained())
    image = {"resnet18", "resnet50", "convnext_tiny", "efficientnet_b0", "vit_small", "dinov2_small", "mobilenetv2_100"}
    assert {stem for stem in names if names[stem] in known} == image


def test_looking_for_the_module_loads_nothing_heavy():
    module = "tunebook.families.image_classification.model.image_source"
    code = f"import sys, {module}; print({{'torch', 'timm', 'torchvision'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
