"""Weights of a real model under other names, of other shapes and not all there: counted, mended or refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForSequenceClassification

from tests.conftest import Tunebook, write_reviews
from tests.user_error import user_error
from tunebook.models.counted import load_counted, loaded
from tunebook.models.source import STARTERS, ModelSource

Weights = dict[str, torch.Tensor]


def changed(minilm: str, folder: Path, weights: Callable[[Weights], Weights], **settings: Any) -> Path:
    """A copy of all-MiniLM-L6-v2 with other weights or another config."""
    shutil.copytree(minilm, folder, ignore=shutil.ignore_patterns("*.safetensors", "*.onnx", "*.bin"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **settings}))
    made = weights(load_file(Path(minilm) / "model.safetensors"))
    save_file({name: tensor.clone() for name, tensor in made.items()}, folder / "model.safetensors", {"format": "pt"})
    return folder


def counted(folder: Path) -> Any:
    return load_counted(
        AutoModelForSequenceClassification, ModelSource(folder.name, folder), AutoConfig.from_pretrained(folder)
    )


def tensors(folder: Path) -> int:
    found = loaded(counted(folder))
    assert found is not None
    return found.tensors


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "model.module.", "backbone.bert."])
def test_a_wrappers_name_is_taken_off_and_the_weights_are_those_of_the_file(minilm: str, tmp_path: Path, prefix: str):
    plain = counted(Path(minilm))
    wrapped = counted(changed(minilm, tmp_path / "m", lambda w: {f"{prefix}{name}": t for name, t in w.items()}))
    found, other = loaded(plain), loaded(wrapped)
    assert found is not None and other is not None
    assert (found.taken_off, other.taken_off) == ("", prefix.removesuffix("bert."))  # the rest is the model's own name
    assert found.tensors == other.tensors == 103
    got = wrapped.state_dict()
    for name, tensor in load_file(Path(minilm) / "model.safetensors").items():
        if "position_ids" not in name:
            assert torch.equal(got[f"bert.{name}"], tensor), name


REFUSED: dict[str, tuple[Callable[[Weights], Weights], dict[str, Any], str]] = {
    "a layer is missing": (
        lambda w: {name: t for name, t in w.items() if "layer.3." not in name},
        {},
        "16 of 103 tensors of the backbone are not in the file, such as bert.encoder.layer.3.",
    ),
    "no name is known": (
        lambda w: {f"x{i}": t for i, t in enumerate(w.values())},
        {},
        "101 of 103 tensors of the backbone",
    ),
    "other words": (lambda w: w, {"vocab_size": 30_000}, "is [30522, 384] in the file and [30000, 384] by the config"),
    "other positions": (lambda w: w, {"max_position_embeddings": 128}, "is [512, 384] in the file and [128, 384]"),
    "fewer layers by the config": (lambda w: w, {"num_hidden_layers": 4}, "32 tensors in the file have no place"),
    "more layers by the config": (lambda w: w, {"num_hidden_layers": 7}, "16 of 119 tensors of the backbone"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_weights_that_are_not_all_there_are_refused(minilm: str, tmp_path: Path, case: str) -> None:
    weights, settings, said = REFUSED[case]
    folder = changed(minilm, tmp_path / "m", weights, **settings)
    with user_error("model.mismatch", where=str(folder)) as caught:
        counted(folder)
    assert said in caught.value.what


def test_the_same_names_under_another_kind_of_model_are_filled_or_refused(minilm: str, tmp_path: Path) -> None:
    folder = changed(minilm, tmp_path / "m", lambda w: w, model_type="roberta", architectures=["RobertaModel"])
    own = dict(counted(folder).named_parameters())
    filled = [name for name in load_file(folder / "model.safetensors") if f"roberta.{name}" in own]
    assert len(filled) >= 101
    for name, tensor in load_file(folder / "model.safetensors").items():
        if name in filled:
            assert torch.equal(own[f"roberta.{name}"], tensor), name


def test_a_head_may_be_fresh_and_another_task_may_have_left_its_own(minilm: str, tmp_path: Path) -> None:
    left = {"cls.predictions.bias": torch.ones(9), "classifier.weight": torch.ones(7, 384)}
    assert tensors(changed(minilm, tmp_path / "m", lambda w: {**w, **left})) == 103
    without = changed(minilm, tmp_path / "n", lambda w: {n: t for n, t in w.items() if "pooler" not in n})
    assert tensors(without) == 103  # many are published without a pooler


def test_check_says_so_before_anything_is_trained(minilm: str, tmp_path: Path, tunebook: Tunebook) -> None:
    rows = write_reviews(tmp_path / "rows.csv", 40)
    given = ["check", "recipe=review_sentiment", f"data.train={rows}", "data.label=label", "data.max_length=24"]
    starter = tunebook(*given, f"model.name={STARTERS / 'starter_text'}")
    assert "backbone: all 38 tensors are in the file\n" in starter.stdout
    wrapped = changed(minilm, tmp_path / "wrapped", lambda w: {f"module.{name}": t for name, t in w.items()})
    said = tunebook(*given, f"model.name={wrapped}").stdout
    assert "backbone: all 103 tensors are in the file ('module.' was taken off their names)\n" in said
    assert "ready to train" in said
    cut = changed(minilm, tmp_path / "cut", lambda w: {n: t for n, t in w.items() if "layer.3." not in n})
    refused = tunebook(*given, f"model.name={cut}")
    assert refused.returncode == 2
    assert "16 of 103 tensors of the backbone are not in the file" in refused.stderr
    assert "ready" not in refused.stdout


def test_weights_of_models_that_write_are_counted_too(tmp_path: Path, tunebook: Tunebook) -> None:
    starter = STARTERS / "starter_text"

    def check(name: str, weights: Callable[[Weights], Weights]) -> Any:
        folder = tmp_path / name
        shutil.copytree(starter, folder)
        made = weights(load_file(starter / "model.safetensors"))
        save_file({n: t.clone() for n, t in made.items()}, folder / "model.safetensors", {"format": "pt"})
        return tunebook("check", "recipe=customer_chat", f"model.name={folder}")

    wrapped = check("wrapped", lambda w: {f"module.{n}": t for n, t in w.items()})
    assert "backbone: all 38 tensors are in the file ('module.' was taken off their names)\n" in wrapped.stdout
    cut = check("cut", lambda w: {n: t for n, t in w.items() if ".1." not in n})
    assert cut.returncode == 2, cut.stdout
    assert "of 38 tensors of the model are not in the file" in cut.stderr


FOLDERS: dict[str, tuple[str, str]] = {
    "adapters alone": ("adapters, and not the model", "merge_and_unload"),
    "adapters beside a model": ("whether they are merged into it already cannot be known", "move adapter_config"),
    "weights in 4 bits": ("The model's weights are quantised (bitsandbytes), and cannot be tuned.", "made from"),
    "one file and several": ("The weights are there twice", "delete what is left over"),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_folders_whose_weights_are_not_one_whole_model_are_refused(tmp_path: Path, tunebook: Tunebook, case: str):
    folder = tmp_path / "model"
    shutil.copytree(STARTERS / "starter_text", folder)
    if case.startswith("adapters"):
        (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "base_model_name_or_path": "x"}))
        if case == "adapters alone":
            (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
            (folder / "config.json").unlink()
    elif case == "weights in 4 bits":
        config = json.loads((folder / "config.json").read_text())
        stored = {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}
        (folder / "config.json").write_text(json.dumps({**config, **stored}))
    else:
        index = {"metadata": {}, "weight_map": {"model.embed.weight": "model-00001-of-00001.safetensors"}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        shutil.copy(folder / "model.safetensors", folder / "model-00001-of-00001.safetensors")
    what, fix = FOLDERS[case]
    refused = tunebook("check", "recipe=review_sentiment", f"model.name={folder}")
    assert refused.returncode == 2, refused.stdout
    assert what in refused.stderr and fix in refused.stderr
