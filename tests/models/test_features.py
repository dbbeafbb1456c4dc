"""Stored features: the head gives the same logits on them as the whole model on the texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.user_error import user_error
from tunebook.models.features import (
    cached_features,
    compute_features,
    features_key,
    head_on_features,
)
from tunebook.models.source import ModelSource
from tunebook.models.text_batches import pad_batch

SIZES = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
    "num_labels": 3,
    "pad_token_id": 1,
    "bos_token_id": 2,
    "eos_token_id": 3,
}
TOKENS = {"cls_token_id": 2, "sep_token_id": 3}
ARCHITECTURES = {
    "Bert": {},
    "DistilBert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    "Roberta": {},
    "XLMRoberta": {},
    "Electra": {"embedding_size": 16},
    "MPNet": {},
    "ModernBert": TOKENS,
    "ModernBert mean": {**TOKENS, "classifier_pooling": "mean"},
    "Llama": {"num_key_value_heads": 2},
    "Qwen2": {"num_key_value_heads": 2},
    "GPT2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 40},
}


def tiny(architecture: str) -> nn.Module:
    torch.manual_seed(0)
    config_class = getattr(transformers, f"{architecture.split()[0]}Config")
    config = config_class(**{**SIZES, **ARCHITECTURES.get(architecture, {})})
    return AutoModelForSequenceClassification.from_config(config).eval()


def batches() -> Iterator[dict[str, Any]]:
    """Ten rows of different lengths in two batches, out of order."""
    draw = np.random.default_rng(0)
    items = [(draw.integers(4, 50, draw.integers(3, 20)).astype(np.int32), 0, row) for row in range(10)]
    for part in ([7, 2, 9, 0], [1, 3, 4, 5, 6, 8]):
        yield pad_batch([items[i] for i in part], 1)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logits_on_features_are_those_of_the_model(architecture: str):
    model = tiny(architecture)
    features = compute_features(model, batches(), 10, torch.device("cpu"))
    short = head_on_features(model)
    assert features.shape == (10, 16) and features.dtype == np.float32
    with torch.no_grad():
        for batch in batches():
            stored = torch.from_numpy(features[batch["row"].numpy()])[:, None]
            torch.testing.assert_close(
                short(inputs_embeds=stored).logits, model(**batch["inputs"]).logits, atol=1e-5, rtol=1e-4
            )


def test_the_short_model_shares_its_head_and_has_no_backbone():
    model = tiny("Bert")
    short = head_on_features(model)
    names = {n for n, _ in short.named_parameters()}
    assert names == {
        "bert.pooler.dense.weight",
        "bert.pooler.dense.bias",
        "classifier.weight",
        "classifier.bias",
    }
    assert short.classifier.weight is model.classifier.weight
    assert short.bert.pooler.dense.weight is model.bert.pooler.dense.weight
    assert "bert.embeddings.word_embeddings.weight" in dict(model.named_parameters()), "the model itself is whole"


def test_the_real_minilm_plays_back(minilm: str):
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(minilm, num_labels=2).eval()
    tokenizer = AutoTokenizer.from_pretrained(minilm)
    texts = ["I love it.", "It broke after two days, and nobody answered my letters.", "fine"]
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    batch = {"inputs": {k: inputs[k] for k in ("input_ids", "attention_mask")}, "row": torch.arange(3)}
    features = compute_features(model, [batch], 3, torch.device("cpu"))
    with torch.no_grad():
        got = head_on_features(model)(inputs_embeds=torch.from_numpy(features)[:, None]).logits
        torch.testing.assert_close(got, model(**batch["inputs"]).logits, atol=1e-5, rtol=1e-4)


XLNET = {"vocab_size": 50, "d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 32, "num_labels": 3}


@pytest.mark.parametrize("config", [transformers.XLNetConfig(**XLNET), transformers.AlbertConfig(**SIZES)])
def test_an_architecture_that_pools_in_another_way_is_refused(config: transformers.PretrainedConfig):
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config)
    with user_error(
        "model.no-final-layer", where="adapt.method", match=r"does not know where the head of (XLNet|Albert)"
    ) as caught:
        compute_features(model, batches(), 10, torch.device("cpu"))
    assert caught.value.where == "adapt.method" and "adapt=lora" in str(caught.value.fix)


def test_features_come_from_the_cache_the_second_time(tmp_path: Path):
    calls = []

    def compute() -> np.ndarray:
        calls.append(1)
        return np.arange(6, dtype=np.float32).reshape(2, 3)

    first = cached_features(tmp_path, "key", compute)
    again = cached_features(tmp_path, "key", compute)
    assert len(calls) == 1 and np.array_equal(first, again)
    file = tmp_path / "features" / "key" / "features.npy"
    content = file.read_bytes()
    for number, damaged in enumerate((b"cut off", content[:-24] + bytes(24)), start=2):
        file.write_bytes(damaged)
        assert np.array_equal(cached_features(tmp_path, "key", compute), first) and len(calls) == number
    assert [p.name for p in (tmp_path / "features").iterdir()] == ["key"]


def test_the_key_of_features_changes_with_the_weights_and_the_rows(tmp_path: Path):
    model = tiny("Bert")
    model.save_pretrained(tmp_path)
    source = ModelSource("m", tmp_path)
    key = features_key(source, model, "rows")
    assert features_key(source, model, "rows") == key != features_key(source, model, "other rows")
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight[5, 0] += 1e-3
    model.save_pretrained(tmp_path)
    assert features_key(source, model, "rows") != key
