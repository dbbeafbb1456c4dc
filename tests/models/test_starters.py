"""The backbones that ship: small, whole, and opened by transformers and timm without any help of ours."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from tunebook.config.schema import ModelConfig
from tunebook.models.source import STARTERS, find_model

NAMES = ["starter_text", "starter_image"]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(STARTERS / "starter_text")


@pytest.mark.parametrize("name", NAMES)
def test_a_starter_is_found_by_name_small_and_explained(name: str):
    folder = find_model(ModelConfig(name=name)).folder
    weights = folder / "model.safetensors"
    assert weights.stat().st_size <= 8 * 2**20
    card = (folder / "README.md").read_text(encoding="utf-8")
    for heading in ("## Data and licence", "## How it was made", "## What it is for, and what not"):
        assert heading in card
    with safe_open(weights, framework="pt") as file:
        for key in file.keys():  # noqa: SIM118
            assert torch.isfinite(file.get_tensor(key).float()).all(), key


def test_the_starters_are_all_that_ship():
    assert sorted(p.name for p in STARTERS.iterdir()) == sorted(NAMES)
    for name in NAMES:
        assert (Path(__file__).parents[2] / "conf" / "model" / f"{name}.yaml").is_file()


def test_the_text_starter_is_a_plain_transformers_model(tokenizer: Any):
    folder = STARTERS / "starter_text"
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    assert type(model).__name__ == "LlamaForCausalLM"
    text = "The old house stood at the end of the road, and nobody had lived there for twenty years."
    inputs = tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        loss = float(model(**inputs, labels=inputs["input_ids"]).loss)
    # A guess among all tokens costs log 4096 = 8.3 nats.
    assert loss < 0.65 * math.log(len(tokenizer))
    with torch.no_grad():
        shuffled = inputs["input_ids"][:, torch.randperm(inputs["input_ids"].shape[1])]
        assert float(model(input_ids=shuffled, labels=shuffled).loss) > loss + 1
    AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3)


@pytest.mark.parametrize("text", ["Größe 38½ — “nice”\n\ttabs", "naïve 12,345.67 €", "日本語 🙂", "  two  spaces ", ""])
def test_every_text_comes_back_from_the_tokenizer(text: str, tokenizer: Any):
    ids = tokenizer(text)["input_ids"]
    assert ids[0] == tokenizer.bos_token_id and ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_digits_are_tokens_of_their_own(tokenizer: Any):
    assert tokenizer.tokenize("4719") == ["4", "7", "1", "9"]


CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Where is my parcel?"},
    {"role": "assistant", "content": "At the depot."},
    {"role": "user", "content": "When will it come?"},
    {"role": "assistant", "content": "On Monday."},
]


def test_the_chat_template_marks_what_the_assistant_says_with_the_end_of_its_turn(tokenizer: Any):
    made = tokenizer.apply_chat_template(
        CHAT, tokenize=True, return_dict=True, return_assistant_tokens_mask=True, return_tensors="pt"
    )
    learned = made["input_ids"][0][made["assistant_masks"][0].bool()]
    assert tokenizer.decode(learned) == "At the depot.<|end|>On Monday.<|end|>"


def test_the_chat_template_opens_an_answer_and_refuses_an_unknown_role(tokenizer: Any):
    asked = tokenizer.apply_chat_template(CHAT[:2], tokenize=False, add_generation_prompt=True)
    assert asked == "<|endoftext|><|system|>Be brief.<|end|><|user|>Where is my parcel?<|end|><|assistant|>"
    whole = tokenizer.apply_chat_template(CHAT[:3], tokenize=False)
    assert whole.startswith(asked), "an answer goes on exactly where the prompt ends"
    with pytest.raises(Exception, match="unknown role: bot"):
        tokenizer.apply_chat_template([{"role": "bot", "content": "hi"}], tokenize=False)


def test_the_image_starter_is_a_plain_timm_model():
    timm = pytest.importorskip("timm")
    folder = STARTERS / "starter_image"
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for channels, size in ((3, 64), (1, 96)):
        model = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=2, in_chans=channels).eval()
        with torch.no_grad():
            assert model(torch.zeros(1, channels, size, size)).shape == (1, 2)
    assert model.pretrained_cfg["mean"] == (0.5, 0.5, 0.5) or model.pretrained_cfg["mean"] == [0.5, 0.5, 0.5]
    fresh = timm.create_model(config["architecture"], num_classes=2)
    assert not torch.equal(fresh.stem.conv.weight, model.stem.conv.weight)
