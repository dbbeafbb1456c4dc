"""LoRA: only adapters and head learn, and merging them changes no answer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, BertConfig, DistilBertConfig, LlamaConfig

from tests.user_error import user_error
from tunebook.config.schema import AdaptConfig, Method
from tunebook.models.adapt import adapt, add_lora, backbone_linears, merge

SIZES = {
    "vocab_size": 40,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_labels": 3,
}
CONFIGS = {
    "bert": BertConfig(**SIZES, intermediate_size=16),
    "distilbert": DistilBertConfig(vocab_size=40, dim=8, n_layers=2, n_heads=2, hidden_dim=16, num_labels=3),
    "llama": LlamaConfig(**SIZES, intermediate_size=16, num_key_value_heads=2, pad_token_id=0),
}


def tiny(name: str) -> nn.Module:
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_config(CONFIGS[name]).eval()


def inputs() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, 40, (4, 9), generator=generator)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def lora(**options: object) -> AdaptConfig:
    return AdaptConfig(method=Method.lora, **{"lora_rank": 2, **options})  # type: ignore[arg-type]


def train_a_little(model: nn.Module) -> None:
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
    for step in range(3):
        loss = nn.functional.cross_entropy(model(**inputs()).logits, torch.tensor([0, 1, 2, step % 3]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("name", CONFIGS)
def test_only_adapters_and_the_head_learn(name: str):
    model = adapt(tiny(name), lora())
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    heads = ("classifier", "pre_classifier", "pooler", "score")
    learn = {n for n in before if "lora_" in n or any(f".{head}." in n for head in heads)}
    assert {n for n, p in model.named_parameters() if p.requires_grad} == learn
    train_a_little(model)
    changed = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert changed <= learn
    assert any("lora_A" in n for n in changed) and any(
        n.endswith(("classifier.weight", "score.weight")) for n in changed
    )


@pytest.mark.parametrize("name", CONFIGS)
def test_the_merged_model_answers_as_the_adapted_one(name: str):
    original = tiny(name)
    names = [n for n, _ in original.named_parameters()]
    model = adapt(original, lora())
    train_a_little(model)
    model.eval()
    with torch.no_grad():
        adapted = model(**inputs()).logits
        plain = merge(model)
        torch.testing.assert_close(plain(**inputs()).logits, adapted, atol=1e-5, rtol=0)
        fresh = tiny(name)(**inputs()).logits
    assert not torch.allclose(adapted, fresh, atol=1e-2), "training changed something"
    assert [n for n, _ in plain.named_parameters()] == names, "a plain model again"


def test_adapters_start_as_no_change():
    model, fresh = adapt(tiny("bert"), lora()).eval(), tiny("bert")
    with torch.no_grad():
        torch.testing.assert_close(model(**inputs()).logits, fresh(**inputs()).logits)


def test_targets_are_all_linear_layers_of_the_backbone_or_those_named():
    linear = backbone_linears(tiny("bert"))
    assert len(linear) == 2 * 6 and not any("pooler" in n or "classifier" in n for n in linear)
    model = adapt(tiny("bert"), lora(lora_targets=["query", "value"]))
    adapted = {n.split(".lora_A")[0].rsplit(".", 1)[-1] for n, _ in model.named_parameters() if "lora_A" in n}
    assert adapted == {"query", "value"}


def test_a_target_or_rank_that_cannot_be_is_refused():
    with user_error("model.unknown-layer", where="adapt.lora_targets", match="no layer named quarry") as caught:
        adapt(tiny("bert"), lora(lora_targets=["query", "quarry"]))
    assert caught.value.where == "adapt.lora_targets" and "dense, key, query, value" in str(caught.value.fix)
    with user_error("config.out-of-range", where="adapt.lora_rank", match="at least 1"):
        adapt(tiny("bert"), lora(lora_rank=0))


@pytest.mark.parametrize("method", [Method.full, Method.scratch, Method.head])
def test_other_methods_leave_the_model_as_it_is(method: Method):
    model = tiny("bert")
    assert adapt(model, AdaptConfig(method=method)) is model and merge(model) is model
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(("stabilized", "scale"), [(False, 8 / 16), (True, 8 / 4)])
def test_the_update_is_scaled_by_alpha_over_the_rank_or_its_root(stabilized: bool, scale: float) -> None:
    adapted: Any = add_lora(tiny("bert"), lora(lora_rank=16, lora_alpha=8, lora_rslora=stabilized))
    layer = next(m for n, m in adapted.named_modules() if n.endswith("attention.self.query"))
    torch.nn.init.normal_(layer.lora_B["default"].weight)
    given = torch.randn(3, layer.in_features)
    with torch.no_grad():
        update = given @ layer.lora_A["default"].weight.T @ layer.lora_B["default"].weight.T
        assert torch.allclose(layer(given), layer.base_layer(given) + scale * update, atol=1e-5)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_adapters_of_a_language_model_leave_its_words_alone_and_merge(kind: str) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {"vocab_size": 40, "tie_word_embeddings": kind == "gpt2"}
    if kind == "gpt2":
        sizes |= {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}
    else:
        sizes |= {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(0)
    plain = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes)).eval()
    adapted = add_lora(plain, AdaptConfig(method=Method.lora, lora_rank=2))
    learn = [n for n, p in adapted.named_parameters() if p.requires_grad]
    assert learn and all(".lora_" in name and "lm_head" not in name for name in learn)
    for name, parameter in adapted.named_parameters():
        if ".lora_B" in name:
            torch.nn.init.normal_(parameter)
    ids = torch.arange(8)[None]
    with torch.no_grad():
        before = adapted(input_ids=ids).logits
        after = merge(adapted)(input_ids=ids).logits
    assert torch.allclose(before, after, atol=1e-5)
