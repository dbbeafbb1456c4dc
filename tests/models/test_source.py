"""Where a model comes from, and what is wrong with a folder before anything is loaded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.user_error import user_error
from tunebook.config.schema import ModelConfig
from tunebook.errors import UserError
from tunebook.models.source import STARTERS, check_folder, check_safetensors, find_model, weight_files


def weights(file: Path, name: str = "layer.weight") -> Path:
    save_file({name: np.arange(12, dtype=np.float32).reshape(3, 4)}, file)
    return file


def model_folder(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}')
    weights(folder / "model.safetensors")
    return folder


def refused(name: str, revision: str | None = None) -> UserError:
    with pytest.raises(UserError) as caught:
        find_model(ModelConfig(name=name, revision=revision))
    return caught.value


def test_a_starter_a_folder_and_a_folder_in_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    starter = find_model(ModelConfig(name="starter_text"))
    assert starter.folder == STARTERS / "starter_text"
    folder = model_folder(tmp_path / "mine")
    assert find_model(ModelConfig(name=str(folder))).folder == folder
    monkeypatch.chdir(tmp_path)
    assert find_model(ModelConfig(name="mine")).folder == folder


def test_a_missing_folder_names_the_nearest_one(tmp_path: Path):
    model_folder(tmp_path / "my_model")
    error = refused(str(tmp_path / "my_modle"))
    assert error.where == "model.name" and f"did you mean {tmp_path / 'my_model'}?" in str(error.fix)
    assert "There is no folder './nothing'" in error.__class__.__str__(refused("./nothing"))


def test_a_hub_id_without_a_network_says_what_can_be_done():
    error = refused("nobody/has-this-model")
    assert "neither a folder nor in the hub's cache" in error.what
    assert "starter" in str(error.fix)


def test_a_name_that_no_model_can_have():
    assert refused("spaces are not allowed").where == "model.name"
    assert refused(" ").where == "model.name"


def test_a_whole_file_passes(tmp_path: Path):
    check_safetensors(weights(tmp_path / "model.safetensors"))
    check_folder(model_folder(tmp_path / "whole"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data[:20],
        lambda data: b"",
        lambda data: b"\x00" * 8,
        lambda data: b"\xff" * 4096,
        lambda data: data[:8] + b"[1,2]" + b" " * (data[0] - 5),
        lambda data: data[:8] + b'{"a":{"data_offsets":"ab"}}'.ljust(data[0]),
        lambda data: data[:8] + b"not json".ljust(data[0]),
    ],
)
def test_a_damaged_file_is_told_without_loading_it(damage, tmp_path: Path):
    file = weights(tmp_path / "model.safetensors")
    file.write_bytes(damage(file.read_bytes()))
    with user_error("model.damaged-weights", match="weights are damaged") as caught:
        check_safetensors(file)
    assert caught.value.where == str(file)


def test_shards_are_all_looked_at(tmp_path: Path):
    folder = model_folder(tmp_path / "sharded")
    (folder / "model.safetensors").unlink()
    shards = [folder / f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    for shard, name in zip(shards, "ab", strict=True):
        weights(shard, name)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": shards[0].name, "b": shards[1].name}}))
    assert weight_files(folder) == shards
    check_folder(folder)
    shards[1].write_bytes(shards[1].read_bytes()[:-3])
    with user_error("model.damaged-weights", match="damaged") as caught:
        check_folder(folder)
    assert caught.value.where == str(shards[1])
    for broken in ("{", '{"weights": 1}', '{"weight_map": [1]}', "[]", '{"weight_map": {"a": 3}}'):
        index.write_text(broken)
        with user_error("model.damaged-weights", match="index of the model's weights cannot be read"):
            check_folder(folder)


def test_a_shard_outside_the_folder_is_refused(tmp_path: Path):
    folder = model_folder(tmp_path / "sharded")
    weights(tmp_path / "elsewhere.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../elsewhere.safetensors"}}))
    with user_error("model.damaged-weights", match="index of the model's weights cannot be read"):
        check_folder(folder)


def test_a_pickle_is_no_weights(tmp_path: Path):
    folder = model_folder(tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    error = refused(str(folder))
    assert "pytorch_model.bin is a pickle" in str(error.fix) and error.where == str(folder)


def test_a_folder_without_a_config_is_no_model(tmp_path: Path):
    assert "config.json is missing" in refused(str(tmp_path)).what


def test_an_architecture_without_weights_is_enough_where_they_are_fresh_anyway(tmp_path: Path):
    folder = model_folder(tmp_path / "mine")
    (folder / "model.safetensors").unlink()
    assert find_model(ModelConfig(name=str(folder)), weights=False).folder == folder
    assert "holds no weights" in refused(str(folder)).what
