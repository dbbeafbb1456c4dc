"""The loss at supervised tokens: equal to that of full logits, packed or not, in a fraction of the memory."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torchmetrics import MetricCollection
from transformers import AutoModelForCausalLM

import tunebook.models
from tests.user_error import user_error
from tunebook import FineTuneData, FineTuner
from tunebook.config.optim import OptimConfig
from tunebook.data.batch import IGNORE_INDEX
from tunebook.data.module import Examples
from tunebook.families.text_generation.data.packing import PackedItems, one_each, pack, stack_packs, stack_rows
from tunebook.families.text_generation.heads import CausalHead, TokenPerplexity
from tunebook.families.text_generation.model.causal import enable_checkpointing
from tunebook.families.text_generation.model.language_loss import (
    backbone_states,
    check_language_head,
    supervised_losses,
    supports_packing,
)

VOCABULARY = 61
LENGTHS = [7, 3, 9, 1, 5, 6, 4]
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "pad_token_id": 0,
}
SMALL = {"vocab_size": VOCABULARY, "hidden_size": 16, "n_layer": 2, "n_head": 2}
GROUPED = {**SIZES, "num_key_value_heads": 1}
GPT2 = {"vocab_size": VOCABULARY, "n_embd": 16, "n_layer": 2, "n_head": 2}
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", GROUPED),
    "llama-tied": ("Llama", {**GROUPED, "tie_word_embeddings": True}),
    "gpt2": ("GPT2", {**GPT2, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}),
    "qwen2": ("Qwen2", GROUPED),
    "mistral": ("Mistral", {**GROUPED, "sliding_window": 3}),
    "neox": ("GPTNeoX", SIZES),
    "phi": ("Phi", SIZES),  # its final layer has a bias
    "gemma2": ("Gemma2", {**GROUPED, "head_dim": 8, "sliding_window": 3, "final_logit_softcapping": 0.05}),
    "cohere": ("Cohere", {**GROUPED, "logit_scale": 0.25}),
    "granite": ("Granite", {**GROUPED, "logits_scaling": 3.0}),
    "opt": (
        "OPT",
        {**SIZES, "ffn_dim": 24, "word_embed_proj_dim": 8, "dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2},
    ),
    "bloom": ("Bloom", SMALL),
    "mamba": ("Mamba", {"vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 2}),
    "lfm2": ("Lfm2", {**GROUPED, "layer_types": ["conv", "full_attention"]}),
}
PACKABLE = ["llama", "llama-tied", "gpt2", "qwen2", "mistral", "neox", "phi", "gemma2", "cohere", "granite"]
UNPACKABLE = ["opt", "bloom", "mamba", "lfm2"]


def tiny(name: str, **more: Any) -> Any:
    if name == "starter_text":
        folder = Path(tunebook.models.__file__).parent / "starters" / name
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **more).train()
    kind, settings = CONFIGS[name]
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(getattr(transformers, f"{kind}Config")(**settings), **more)
    with torch.no_grad():  # larger than they start, so that a wrong logit is far from the right one
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn(parameter.shape)
    return model.train()


def conversations(packs: list[np.ndarray] | None = None, lengths: list[int] = LENGTHS) -> PackedItems:
    draw = np.random.default_rng(0)
    tokens = sum(lengths)
    ids = draw.integers(1, VOCABULARY, tokens)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return PackedItems(ids, draw.random(tokens) < 0.6, offsets, one_each(len(lengths)) if packs is None else packs)


def packed() -> PackedItems:
    return conversations(pack(np.array(LENGTHS), 10))


def reference(model: Any, items: PackedItems) -> Tensor:
    """Losses by conversation, each read alone, from full logits: ``[supervised tokens]`` in the order of the packs."""
    losses = []
    for row in np.concatenate(items.packs):
        span = slice(items.offsets[row], items.offsets[row + 1])
        ids, supervised = torch.from_numpy(items.ids[span])[None], torch.from_numpy(items.supervised[span])
        logits = model(input_ids=ids).logits[0, :-1].float()
        losses.append(F.cross_entropy(logits, ids[0, 1:], reduction="none")[supervised[1:]])
    return torch.cat(losses)


def gradients(model: nn.Module, losses: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    losses.mean().backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def assert_equal(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys() and len(ours) > 0
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("name", [*PACKABLE, "starter_text"])
def test_packed_losses_and_gradients_are_those_of_each_conversation_read_alone(name: str):
    model, items = tiny(name), packed()
    batch = stack_packs([items[i] for i in range(len(items))], pad_id=0)
    assert len(items) == 4 and max(items.lengths) > min(items.lengths), "a pack is padded too"
    expected = reference(model, items)
    losses = supervised_losses(model, batch["inputs"], batch["target"], chunk=4)
    torch.testing.assert_close(losses, expected, rtol=1e-5, atol=1e-5)
    assert_equal(gradients(model, losses), gradients(model, expected))


@pytest.mark.parametrize("name", [*CONFIGS, "starter_text"])
def test_padded_losses_and_gradients_are_those_of_each_conversation_read_alone(name: str):
    model, items = tiny(name), conversations()
    batch = stack_rows([items[i] for i in range(len(items))], pad_id=0)
    expected = reference(model, items)
    losses = supervised_losses(model, batch["inputs"], batch["target"])
    torch.testing.assert_close(losses, expected, rtol=1e-5, atol=1e-5)
    assert_equal(gradients(model, losses), gradients(model, expected))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ["llama", "gpt2", "qwen2"])
def test_a_changed_token_changes_nothing_in_another_conversation(name: str, attention: str):
    model, items = tiny(name, attn_implementation=attention), conversations([np.array([0, 2, 4])])
    inputs = stack_packs([items[0]], pad_id=0)["inputs"]
    before = model(**inputs).logits
    own = slice(7, 16)
    for position in range(own.start, own.stop):
        changed = inputs["input_ids"].clone()
        changed[0, position] = changed[0, position] % (VOCABULARY - 1) + 1
        after = model(**{**inputs, "input_ids": changed}).logits
        differs = (before != after).any(dim=-1)[0].nonzero().flatten().tolist()
        assert differs and min(differs) == position and max(differs) < own.stop


@pytest.mark.parametrize("name", [*CONFIGS, "starter_text"])
def test_only_models_that_keep_conversations_apart_are_packed(name: str):
    model = tiny(name)
    assert supports_packing(model) == (name not in UNPACKABLE)
    assert model.training, "it is left as it was"
    assert supports_packing(model.to(torch.bfloat16)) == (name not in UNPACKABLE)


def test_a_small_leak_is_found_too():
    """As they start, these weights let only a ten-thousandth of the first conversation through to the second."""
    torch.manual_seed(0)
    assert not supports_packing(AutoModelForCausalLM.from_config(transformers.Lfm2Config(**CONFIGS["lfm2"][1])))


@pytest.mark.parametrize("name", [*CONFIGS, "starter_text"])
def test_a_plain_final_layer_is_accepted(name: str):
    check_language_head(tiny(name))


def test_logits_that_are_bent_in_an_unknown_way_are_refused():
    torch.manual_seed(0)
    config = transformers.RecurrentGemmaConfig(**{**GROUPED, "num_hidden_layers": 3}, logits_soft_cap=0.05)
    with user_error(
        "model.no-plain-final-layer",
        where="model.name",
        match="RecurrentGemmaForCausalLM are not a plain linear function of",
    ):
        check_language_head(AutoModelForCausalLM.from_config(config))


@pytest.mark.parametrize("name", ["llama", "phi", "gemma2"])
@pytest.mark.parametrize("chunk", [1, 2, 19, 20, 21, 1000])
def test_chunks_of_every_size_give_the_same(name: str, chunk: int):
    model = tiny(name)
    ids = torch.randint(VOCABULARY, (2, 10), generator=torch.Generator().manual_seed(0))
    expected = F.cross_entropy(model(input_ids=ids).logits.flatten(0, 1), ids.flatten(), reduction="none")
    losses = supervised_losses(model, {"input_ids": ids}, ids, chunk)
    torch.testing.assert_close(losses, expected, rtol=1e-5, atol=1e-5)
    assert_equal(gradients(model, losses), gradients(model, expected))


@pytest.mark.parametrize("name", ["llama", "phi"])
def test_losses_may_be_weighted_and_gone_back_through_twice(name: str):
    model, items = tiny(name), packed()
    batch = stack_packs([items[i] for i in range(len(items))], pad_id=0)
    expected = reference(model, items)
    losses = supervised_losses(model, batch["inputs"], batch["target"], chunk=4)
    weights = torch.rand(len(losses), generator=torch.Generator().manual_seed(1))
    for kind in (torch.ones_like(weights), torch.ones_like(weights), weights):
        found = []
        for each in (losses, expected):
            model.zero_grad()
            (each * kind).sum().backward(retain_graph=True)
            found.append({n: p.grad.clone() for n, p in model.named_parameters()})
        assert_equal(*found)


@pytest.mark.parametrize("name", ["llama", "phi", "gemma2"])
def test_a_pack_without_anything_learnt_costs_nothing_and_breaks_nothing(name: str):
    model, items = tiny(name), packed()
    batch = stack_packs([items[0], items[1]], pad_id=0)
    kept = batch["target"].clone()
    kept[1] = IGNORE_INDEX
    head = CausalHead()
    sums = [head.loss(head.forward(model, {**batch, "target": t}), t) for t in (batch["target"], kept)]
    assert sums[1][1] == 0
    torch.testing.assert_close(sums[1][0], sums[0][0])
    nothing = torch.full_like(kept, IGNORE_INDEX)
    losses = supervised_losses(model, batch["inputs"], nothing)
    assert losses.shape == (0,)
    losses.sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


class Sizes(TorchDispatchMode):
    """Records how large a tensor each operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, (tuple, list)) else [made]:
            if isinstance(one, Tensor):
                self.largest = max(self.largest, one.numel())
        return made


@pytest.mark.parametrize("softcap", [False, True])
def test_no_tensor_holds_the_logits_of_all_positions(softcap: bool):
    torch.manual_seed(0)
    wide = {**GROUPED, "vocab_size": 4096}
    config = transformers.Gemma2Config(**wide, head_dim=8) if softcap else transformers.LlamaConfig(**wide)
    model, ids = AutoModelForCausalLM.from_config(config), torch.randint(4096, (8, 64))
    with Sizes() as full:
        F.cross_entropy(model(input_ids=ids, use_cache=False).logits.flatten(0, 1), ids.flatten()).backward()
    assert full.largest == ids.numel() * 4096, "what is to be avoided is seen"
    with Sizes() as sizes:
        supervised_losses(model, {"input_ids": ids}, ids, chunk=32).sum().backward()
    assert sizes.largest == 32 * 4096  # a chunk's logits; the final layer's weights are half as large
    target = torch.where(torch.rand(ids.shape) < 0.02, ids, IGNORE_INDEX)
    with Sizes() as sizes, torch.no_grad():
        supervised_losses(model, {"input_ids": ids}, target, chunk=512)
    assert sizes.largest == max(int((target != IGNORE_INDEX).sum()) * 4096, ids.numel() * 128)


def test_half_precision_keeps_losses_in_full():
    model, items = tiny("llama"), packed()
    batch = stack_packs([items[i] for i in range(len(items))], pad_id=0)
    exact = supervised_losses(model, batch["inputs"], batch["target"])
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(**batch["inputs"]).logits
        losses = supervised_losses(model, batch["inputs"], batch["target"], chunk=4)
    assert logits.dtype == torch.bfloat16 and losses.dtype == torch.float32
    supervised = batch["target"] != IGNORE_INDEX
    own = F.cross_entropy(logits[supervised].float(), batch["target"][supervised], reduction="none")
    torch.testing.assert_close(losses, own, rtol=1e-5, atol=1e-5)
    ours, theirs, right = gradients(model, losses), gradients(model, own), gradients(model, exact)
    for name, gradient in right.items():
        error, allowed = ((g[name] - gradient).norm() / gradient.norm() for g in (ours, theirs))
        assert ours[name].dtype == torch.float32
        assert error <= 1.25 * allowed + 1e-3, name


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # peft
def test_adapters_learn_the_same_and_the_frozen_layer_nothing():
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    model = get_peft_model(tiny("llama"), LoraConfig(r=2, target_modules=["q_proj", "down_proj"]))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter += 0.1
    items = packed()
    batch = stack_packs([items[i] for i in range(len(items))], pad_id=0)
    expected = reference(model, items)
    losses = supervised_losses(model, batch["inputs"], batch["target"])
    torch.testing.assert_close(losses, expected, rtol=1e-5, atol=1e-5)
    ours = gradients(model, losses)
    assert all(".lora_" in name for name in ours)
    assert_equal(ours, gradients(model, expected))
    assert supports_packing(model)
    check_language_head(model)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # peft
@pytest.mark.parametrize("adapters", [False, True])
def test_checkpointing_computes_layers_twice_and_changes_no_gradient(adapters: bool):
    model = tiny("llama")
    if adapters:
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    items = packed()
    batch = stack_packs([items[i] for i in range(len(items))], pad_id=0)
    plain = gradients(model, supervised_losses(model, batch["inputs"], batch["target"]))
    calls = []
    inner = model.get_base_model() if adapters else model
    inner.model.layers[0].mlp.register_forward_pre_hook(lambda *_: calls.append(1))
    enable_checkpointing(model)
    assert_equal(gradients(model, supervised_losses(model, batch["inputs"], batch["target"])), plain)
    assert len(calls) == 2


@pytest.fixture
def flash() -> Iterator[list[tuple[int, ...]]]:
    """An attention that transformers takes for flash attention: without a mask, told of packs by their positions."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, flash_attention_mask

    seen: list[tuple[int, ...]] = []

    def attend(module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, **options: Any) -> Any:
        positions = options["position_ids"]
        seen.append(tuple(positions.shape))
        groups = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
        starts = (positions[0] == 0).cumsum(0)
        visible = ((starts[:, None] == starts) & (torch.ones(len(starts), len(starts)).tril() > 0))[None, None]
        scaling = options.get("scaling")
        return F.scaled_dot_product_attention(query, key, value, visible, scale=scaling).transpose(1, 2), None

    AttentionInterface.register("flash_by_hand", attend)
    AttentionMaskInterface.register("flash_by_hand", flash_attention_mask)
    yield seen
    for interface in (AttentionInterface, AttentionMaskInterface):
        interface._global_mapping.pop("flash_by_hand")


@pytest.mark.filterwarnings("ignore")
def test_flash_attention_gets_all_packs_in_one_row(flash: list[tuple[int, ...]]):
    usual, items = tiny("llama"), packed()
    batch = stack_packs([items[i] for i in range(len(items))], pad_id=0)
    model = copy.deepcopy(usual)
    model.config._attn_implementation = "flash_by_hand"
    states = backbone_states(model, batch["inputs"])
    torch.testing.assert_close(states, backbone_states(usual, batch["inputs"]))
    assert set(flash) == {(1, batch["target"].numel())}


def test_losses_add_up_by_row_and_perplexity_is_over_all_tokens():
    model, items = tiny("llama").eval(), packed()
    head, metric = CausalHead(), TokenPerplexity()
    with pytest.warns(UserWarning, match="before the ``update``"):
        assert torch.isnan(metric.compute())
    metrics = MetricCollection({"perplexity": metric})
    sums: list[float] = []
    for i in range(len(items)):
        batch = stack_packs([items[i]], pad_id=0)
        losses = head.forward(model, batch)
        sums += head.loss(losses, batch["target"]).tolist()
        assert head.units(batch).tolist() == [items.units[i]]
        torch.testing.assert_close(head.probabilities(losses).log(), -losses)
        head.measure(metrics, losses, head.loss(losses, batch["target"]), batch)
    together = stack_packs([items[i] for i in range(len(items))], pad_id=0)
    at_once = head.loss(head.forward(model, together), together["target"])
    assert at_once.tolist() == pytest.approx(sums, rel=1e-5)
    expected = reference(model, items).detach()
    assert sum(sums) == pytest.approx(float(expected.sum()), rel=1e-5)
    assert float(metrics.compute()["perplexity"]) == pytest.approx(math.exp(float(expected.mean())), rel=1e-5)


def trainer(**options: Any) -> Trainer:
    settings = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "use_distributed_sampler": False}
    return Trainer(**settings, enable_progress_bar=False, enable_model_summary=False, **options)


def tuned(model: nn.Module, items: PackedItems, **options: Any) -> tuple[FineTuner, FineTuneData]:
    examples = Examples(items, items.lengths, items.units)
    splits = {"train": examples, "validation": examples}
    metrics = MetricCollection({"perplexity": TokenPerplexity()})
    module = FineTuner(model, CausalHead(), metrics, OptimConfig(lr=1e-3), 10)
    return module, FineTuneData(splits, lambda packs: stack_packs(packs, 0), **options)


def test_validation_is_over_all_tokens():
    module, data = tuned(tiny("llama"), packed(), batch_size=3)
    assert len(set(packed().units)) > 1, "a mean of means would be another number"
    (scores,) = trainer().validate(module, data, verbose=False)
    mean = float(reference(module.model, packed()).detach().mean())
    assert scores == pytest.approx({"validation/perplexity": math.exp(mean), "validation/loss": mean}, rel=1e-5)


@pytest.mark.parametrize("batch_size, accumulate", [(2, 1), (1, 2)])
def test_a_training_step_follows_the_mean_over_its_tokens(batch_size: int, accumulate: int):
    """Lightning, the order of batches and the head together, against the full logits of single conversations."""
    model, items = tiny("llama"), packed()
    start = copy.deepcopy(model)
    found: list[dict[str, Tensor]] = []
    rows: list[Tensor] = []

    class Watch(Callback):
        def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
            rows.append(batch["row"])

        def on_before_optimizer_step(self, trainer: Any, module: Any, optimizer: Any) -> None:
            found.append({n: p.grad.clone() for n, p in module.model.named_parameters()})
            trainer.should_stop = True

    module, data = tuned(model, items, batch_size=batch_size, accumulate=accumulate)
    trainer(accumulate_grad_batches=accumulate, limit_val_batches=0, callbacks=[Watch()], max_steps=1).fit(module, data)
    chosen = {int(row) for row in torch.cat(rows)}
    packs = [rows for rows in items.packs if rows[0] in chosen]
    assert len(packs) == 2 and items.units.min() != items.units.max()
    assert_equal(found[0], gradients(start, reference(start, conversations(packs))))
