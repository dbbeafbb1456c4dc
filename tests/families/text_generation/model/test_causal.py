"""Causal language models: which are taken, how they load, and what is kept of their adapters."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.chatted import STARTER, STORIES, byte_gpt2, composed, tiny_llama
from tests.user_error import user_error
from tunebook.config.schema import Method, ModelConfig, TrainConfig
from tunebook.families.text_generation.model.causal import adapt_causal, build_causal, merge_causal, save_adapter
from tunebook.families.text_generation.model.kinds import check_causal
from tunebook.families.text_generation.model.language_loss import supervised_losses
from tunebook.families.text_generation.options import GenerationAdapt
from tunebook.models.source import STARTERS, ModelSource, find_model

SIZES = {"num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose final layer has weights of its own."""
    return tiny_llama(tmp_path_factory.mktemp("llama") / "my_llama", tie_word_embeddings=False)


def source(folder: Path) -> ModelSource:
    return ModelSource(str(folder), folder)


def config(folder: Path, *overrides: str) -> TrainConfig:
    return composed("recipe=customer_chat", f"model.name={folder}", "trainer=cpu", "run_dir=x", *overrides)


# Which are taken ------------------------------------------------------------------------------------------------


def with_config(folder: Path, **settings: Any) -> ModelSource:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(settings))
    return source(folder)


@pytest.mark.parametrize(
    ("kind", "classes"),
    [
        *[(kind, None) for kind in ("llama", "gpt2", "qwen2", "mistral", "gemma2", "phi", "gpt_neox", "olmo")],
        ("llama", ["LlamaForCausalLM"]),
        ("gpt2", ["GPT2LMHeadModel"]),
        ("bert", ["BertLMHeadModel"]),
    ],
)
def test_models_that_write_are_taken(tmp_path: Path, kind: str, classes: Sequence[str] | None) -> None:
    check_causal(with_config(tmp_path, model_type=kind, **({"architectures": classes} if classes else {})))


@pytest.mark.parametrize(
    "settings",
    [
        {"model_type": "bert", "architectures": ["BertModel"]},
        {"model_type": "bert", "architectures": ["BertForMaskedLM"]},
        {"model_type": "roberta", "architectures": ["RobertaForSequenceClassification"]},
        {"model_type": "distilbert", "architectures": ["DistilBertForMaskedLM"]},
        {"model_type": "modernbert"},
        {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True},
        {"model_type": "bart", "architectures": ["BartForCausalLM"], "is_encoder_decoder": True},
        {"model_type": "vit", "architectures": ["ViTForImageClassification"]},
        {"model_type": "clip"},
        {"architecture": "resnet18"},
        {"model_type": "a_new_one", "auto_map": {"AutoModelForCausalLM": "evil.Model"}},
        {},
    ],
    ids=lambda settings: "-".join(map(str, settings.values())) or "empty",
)
def test_models_that_do_not_write_are_refused_by_their_config_alone(tmp_path: Path, settings: dict[str, Any]) -> None:
    with user_error("model.wrong-kind", where="model.name") as caught:
        check_causal(with_config(tmp_path / "some_model", **settings))
    assert "some_model" in caught.value.what and caught.value.where == "model.name"
    assert "model=starter_text" in str(caught.value.fix)


def test_real_encoders_and_image_models_are_refused(minilm: str) -> None:
    for name in (minilm, "starter_image"):
        folder = STARTERS / name if name == "starter_image" else Path(name)
        with user_error("model.wrong-kind", where="model.name"):
            check_causal(source(folder))
    check_causal(source(STARTER))


# How they load --------------------------------------------------------------------------------------------------


def test_a_model_whose_final_layer_is_missing_is_refused(llama: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(llama, broken)
    tensors = load_file(broken / "model.safetensors")
    assert tensors.pop("lm_head.weight") is not None
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    said = r"1 of 21 tensors of the model are not in the file, such as lm_head\.weight"
    with user_error("model.mismatch", where=str(broken), match=said):
        build_causal(source(broken), config(broken))
    fresh = build_causal(source(broken), config(broken, "adapt=scratch"))
    assert next(fresh.parameters()).dtype == torch.float32


def test_a_tied_final_layer_is_not_missed(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path)
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")
    model: Any = build_causal(source(folder), config(folder))
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


def test_half_precision_weights_load_in_whole_numbers_of_bits(tmp_path: Path) -> None:
    stored = load_file(STARTER / "model.safetensors")
    assert {t.dtype for t in stored.values()} == {torch.float16}
    model = build_causal(source(STARTER), config(STARTER))
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert torch.equal(model.get_parameter("model.norm.weight"), stored["model.norm.weight"].float())


def test_dropout_reaches_the_layers(llama: Path) -> None:
    model: Any = build_causal(source(llama), config(llama, "model.dropout=0.25"))
    assert model.model.layers[0].self_attn.attention_dropout == 0.25
    usual: Any = build_causal(source(llama), config(llama))
    assert usual.config.attention_dropout == 0.0


def test_dropout_reaches_the_layers_of_gpt2(tmp_path: Path) -> None:
    gpt2 = byte_gpt2(tmp_path / "gpt2")
    other = build_causal(source(gpt2), config(gpt2, "model.dropout=0.25"))
    rates = {m.p for m in other.modules() if isinstance(m, torch.nn.Dropout)}
    assert rates == {0.25}
    torch.manual_seed(0)
    ids = torch.arange(9)[None]
    other.train()
    assert not torch.equal(other(ids).logits, other(ids).logits)


def test_dropout_of_a_model_without_any_is_refused(tmp_path: Path) -> None:
    from transformers import MambaConfig, MambaForCausalLM

    MambaForCausalLM(MambaConfig(vocab_size=40, hidden_size=16, num_hidden_layers=1)).save_pretrained(tmp_path)
    with user_error("model.no-dropout", where="model.dropout", match="no dropout to set"):
        build_causal(source(tmp_path), config(tmp_path, "model.dropout=0.1"))


def gradients(model: Any) -> dict[str, torch.Tensor]:
    model.train()
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(5, 4000, (3, 20), generator=generator)
    target = ids.roll(-1, dims=1)
    target[:, ::3] = -100
    supervised_losses(model, {"input_ids": ids}, target).mean().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("method", ["full", "lora"])
def test_gradients_are_the_same_with_activations_computed_twice(llama: Path, method: str) -> None:
    found = []
    for checkpointing in ("false", "true"):
        made = config(llama, f"adapt={method}", f"trainer.gradient_checkpointing={checkpointing}")
        model: Any = build_causal(source(llama), made)
        torch.manual_seed(1)
        adapted = adapt_causal(model, made.adapt)
        for name, parameter in adapted.named_parameters():
            if ".lora_B." in name:  # zero at first, and A would have no gradient
                torch.nn.init.normal_(parameter, std=0.1)
        assert model.is_activation_checkpointing is (checkpointing == "true")
        found.append(gradients(adapted))
    plain, twice = found
    assert plain.keys() == twice.keys() and len(plain) > 10
    assert all(torch.allclose(plain[name], twice[name], rtol=1e-5, atol=1e-7) for name in plain)
    assert all(gradient.abs().max() > 0 for gradient in plain.values())


def test_checkpointing_really_computes_twice(llama: Path) -> None:
    calls = {}
    for checkpointing in ("false", "true"):
        model: Any = build_causal(source(llama), config(llama, f"trainer.gradient_checkpointing={checkpointing}"))
        counted: list[int] = []
        model.model.layers[0].mlp.register_forward_pre_hook(lambda *_, counted=counted: counted.append(1))
        gradients(model)
        calls[checkpointing] = len(counted)
    assert calls == {"false": 1, "true": 2}


# Adapters -------------------------------------------------------------------------------------------------------


def learnt_adapters(folder: Path, method: GenerationAdapt) -> Any:
    model = adapt_causal(build_causal(source(folder), config(folder)), method)
    torch.manual_seed(2)
    for name, parameter in model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(parameter, std=0.2)
    return model


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(torch.arange(3, 15)[None]).logits
    return found


@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft asks transformers in an older way
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_adapters_alone_and_merged_say_the_same_and_name_no_folder(kind: str, llama: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    folder = llama if kind == "llama" else byte_gpt2(tmp_path / "my_gpt2")
    model = learnt_adapters(folder, GenerationAdapt(Method.lora))
    expected = logits(model)
    save_adapter(model, source(folder), tmp_path / "adapter")
    assert {p.name for p in (tmp_path / "adapter").iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    text = (tmp_path / "adapter/adapter_config.json").read_text()
    assert str(folder.parent) not in text and json.loads(text)["base_model_name_or_path"] == folder.name
    assert json.loads(text)["task_type"] == "CAUSAL_LM"
    base = build_causal(source(folder), config(folder))
    before = logits(base)
    alone = PeftModel.from_pretrained(copy.deepcopy(base), str(tmp_path / "adapter"))
    merged = merge_causal(model, source(folder), quantized=False)
    assert (before - expected).abs().max() > 1e-3
    assert (logits(alone) - expected).abs().max() < 1e-5
    assert (logits(merged) - expected).abs().max() < 1e-4
    assert not any("lora" in name for name, _ in merged.named_parameters())


def test_the_name_of_a_hub_is_kept_and_a_plain_model_leaves_no_adapters(llama: Path, tmp_path: Path) -> None:
    model = learnt_adapters(llama, GenerationAdapt(Method.lora, lora_targets=["q_proj"]))
    save_adapter(model, ModelSource("some-team/their-llama", llama), tmp_path / "adapter")
    told = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    assert told["base_model_name_or_path"] == "some-team/their-llama"
    assert sorted(told["target_modules"]) == [f"model.layers.{i}.self_attn.q_proj" for i in range(2)]
    save_adapter(build_causal(source(llama), config(llama)), source(llama), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_only_adapters_learn_and_the_words_stay(llama: Path) -> None:
    model = adapt_causal(build_causal(source(llama), config(llama)), GenerationAdapt(Method.lora))
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    assert learning and all(".lora_" in name for name in learning)
    assert len(learning) == 2 * 7 * 2, "two matrices beside each of the seven linear layers of both blocks"


# 4 bits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["full", "scratch", "none"])
def test_weights_in_4_bits_learn_by_adapters_alone(llama: Path, method: str) -> None:
    with user_error("config.no-effect", match="4-bit weights cannot be trained") as caught:
        build_causal(source(llama), config(llama, "adapt.quantize=true", f"adapt={method}"))
    assert caught.value.fix == "adapt=lora"


def test_4_bits_without_their_package_are_refused(llama: Path) -> None:
    if find_spec("bitsandbytes"):
        pytest.skip("bitsandbytes is installed")
    with user_error("package.missing", match="loads weights in 4 bits is not installed") as caught:
        build_causal(source(llama), config(llama, "adapt.quantize=true", "adapt=lora"))
    assert "pip install bitsandbytes" in str(caught.value.fix)


# Real weights ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not STORIES.is_dir(), reason="the stories model is not here")
def test_a_small_model_trained_by_others_loads_as_it_is() -> None:
    from transformers import AutoModelForCausalLM

    model = build_causal(find_model(ModelConfig(name=str(STORIES)), True), config(STORIES))
    theirs = AutoModelForCausalLM.from_pretrained(STORIES, dtype=torch.float32)
    assert torch.equal(logits(model), logits(theirs))
