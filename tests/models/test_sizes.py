"""Sizes in a config, against those of the weights: usual models pass, however small, and impossible ones do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.user_error import user_error
from tunebook.models.sizes import check_sizes, in_proportion
from tunebook.models.source import STARTERS, check_folder

TINY = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "max_window_layers": 70,  # of the large model that a tiny one is made after
    "max_position_embeddings": 10_000_000,
    "sliding_window": 131_072,
    "vocab_size": 151_936,
    "rope_theta": 500_000_000,
    "eos_token_id": [151_645, 151_643],
    "depths": [2, 2, 18, 2],
    "layer_types": ["full_attention"] * 70,
    "text_config": {"num_local_experts": 128},
    "model_args": {"img_size": 1024},
}
WRONG: dict[str, Any] = {
    "layers": {"num_hidden_layers": 41},
    "layers of a decoder": {"text_config": {"decoder_layers": 10**9}},
    "depths": {"model_args": {"depths": [2, 10**6]}},
    "width": {"hidden_size": 10**8},
    "words": {"vocab_size": 10**13},
    "classes": {"num_labels": 10**9},
}


def test_sizes_of_usual_models_pass() -> None:
    check_sizes(Path("config.json"), TINY, tensors=40, elements=4_861_952)
    for starter in STARTERS.iterdir():
        check_folder(starter)


@pytest.mark.parametrize("case", WRONG)
def test_sizes_that_no_model_with_these_weights_has_are_refused(case: str) -> None:
    with user_error("model.mismatch", where="config.json"):
        check_sizes(Path("config.json"), {**TINY, **WRONG[case]}, tensors=40, elements=4_861_952)


def test_a_real_model_passes(minilm: str) -> None:
    check_folder(Path(minilm))
    settings = json.loads((Path(minilm) / "config.json").read_text())
    assert settings["num_hidden_layers"] == 6
    with in_proportion([Path(minilm) / "model.safetensors"]):
        from transformers import AutoModel

        assert AutoModel.from_pretrained(minilm, use_safetensors=True).config.hidden_size == 384
