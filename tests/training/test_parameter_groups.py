"""Parameter groups, against cases worked out by hand."""

from __future__ import annotations

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, BertConfig, LlamaConfig

from tunebook.config.optim import OptimConfig
from tunebook.config.schema import AdaptConfig, Method
from tunebook.models.adapt import adapt
from tunebook.models.layers import is_head
from tunebook.training.parameter_groups import count_parameters, layer_of, parameter_groups

OPTIM = OptimConfig(lr=1.0, head_lr=10.0, layer_decay=0.5, weight_decay=0.1)


def bert() -> nn.Module:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30,
        hidden_size=8,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=3,
    )
    return AutoModelForSequenceClassification.from_config(config)


def settings_by_name(model: nn.Module, optim: OptimConfig) -> dict[str, tuple[float, float]]:
    """Name of each trained weight to its learning rate and decay."""
    names = {id(p): n for n, p in model.named_parameters()}
    return {
        names[id(p)]: (group["lr"], group["weight_decay"])
        for group in parameter_groups(model, optim)
        for p in group["params"]
    }


def test_rates_halve_with_each_layer_and_the_head_has_its_own():
    settings = settings_by_name(bert(), OPTIM)
    expected = {
        "bert.embeddings.word_embeddings.weight": (0.125, 0.1),
        "bert.embeddings.LayerNorm.weight": (0.125, 0.0),
        "bert.encoder.layer.0.attention.self.query.weight": (0.25, 0.1),
        "bert.encoder.layer.0.attention.self.query.bias": (0.25, 0.0),
        "bert.encoder.layer.1.output.dense.weight": (0.5, 0.1),
        "bert.encoder.layer.2.output.LayerNorm.weight": (1.0, 0.0),
        "bert.pooler.dense.weight": (1.0, 0.1),
        "classifier.weight": (10.0, 0.1),
        "classifier.bias": (10.0, 0.0),
    }
    assert {name: settings[name] for name in expected} == expected


def test_every_weight_is_in_one_group_and_no_vector_decays():
    model = bert()
    settings = settings_by_name(model, OPTIM)
    assert set(settings) == {n for n, _ in model.named_parameters()}
    assert sum(len(g["params"]) for g in parameter_groups(model, OPTIM)) == len(settings)
    for name, parameter in model.named_parameters():
        assert settings[name][1] == (0.1 if parameter.ndim == 2 else 0.0), name


def test_without_layer_decay_and_head_rate_there_are_two_groups():
    groups = parameter_groups(bert(), OptimConfig(lr=0.3, weight_decay=0.1))
    assert sorted((g["lr"], g["weight_decay"]) for g in groups) == [(0.3, 0.0), (0.3, 0.1)]


def test_the_last_norm_of_a_decoder_is_above_its_layers():
    config = LlamaConfig(
        vocab_size=30,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=16,
        num_labels=2,
        pad_token_id=0,
    )
    settings = settings_by_name(AutoModelForSequenceClassification.from_config(config), OPTIM)
    assert settings["model.norm.weight"] == (1.0, 0.0)
    assert settings["model.layers.1.mlp.up_proj.weight"] == (1.0, 0.1)
    assert settings["model.layers.0.mlp.up_proj.weight"] == (0.5, 0.1)
    assert settings["model.embed_tokens.weight"] == (0.25, 0.1)
    assert settings["score.weight"] == (10.0, 0.1)


def test_adapters_learn_at_the_rate_of_their_layer_and_frozen_weights_are_left_out():
    model = adapt(bert(), AdaptConfig(method=Method.lora, lora_rank=2))
    settings = settings_by_name(model, OPTIM)
    assert set(settings) == {n for n, p in model.named_parameters() if p.requires_grad}
    layer = "base_model.model.bert.encoder.layer.{}.attention.self.query.lora_A.default.weight"
    # No embedding is trained, so layer 2 is the top and layer 0 lies two below.
    assert [settings[layer.format(i)] for i in range(3)] == [(0.25, 0.1), (0.5, 0.1), (1.0, 0.1)]
    assert settings["base_model.model.classifier.weight"] == (10.0, 0.1)
    assert settings["base_model.model.bert.pooler.dense.bias"] == (1.0, 0.0)


def test_what_is_a_head_and_which_layer_a_name_is_in():
    assert is_head("classifier.weight", bert())
    assert not is_head("bert.pooler.dense.weight", bert())
    assert not is_head("weight", nn.Linear(2, 2))
    assert layer_of("bert.encoder.layer.11.output.dense.weight") == 11
    assert layer_of("transformer.h.3.mlp.weight") == 3
    assert layer_of("blocks.7.norm1.weight") == 7
    assert layer_of("bert.embeddings.word_embeddings.weight") is None


def test_count_parameters():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    model[0].requires_grad_(False)
    assert count_parameters(model) == (10, 26)
