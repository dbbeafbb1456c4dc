"""Encoder-decoders: losses of full logits at the supervised tokens alone, answers of transformers asked one by one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModelForSeq2SeqLM, GenerationConfig

from tests.user_error import user_error
from tunebook.config.optim import OptimConfig
from tunebook.config.schema import AdaptConfig, Method
from tunebook.data.batch import IGNORE_INDEX
from tunebook.families.text_generation.data.pairs import Pair, stack_pairs
from tunebook.families.text_generation.heads import CausalHead
from tunebook.families.text_generation.model.causal import enable_checkpointing
from tunebook.families.text_generation.model.generate import generate, stream
from tunebook.families.text_generation.model.generation import Generation
from tunebook.families.text_generation.model.kinds import is_seq2seq
from tunebook.families.text_generation.model.language_loss import (
    check_language_head,
    supervised_losses,
    supports_packing,
)
from tunebook.families.text_generation.model.seq2seq import decoder_prefix, load_seq2seq
from tunebook.models.adapt import adapt, backbone_linears, check_adapters, merge
from tunebook.models.layers import is_head
from tunebook.models.quiet import quiet_transformers
from tunebook.models.source import ModelSource
from tunebook.training.parameter_groups import parameter_groups

VOCABULARY = 61
T5 = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2, "decoder_start_token_id": 0}
BART = {
    **{f"{part}_{what}": n for part in ("encoder", "decoder") for what, n in (("layers", 2), ("attention_heads", 2))},
    **{"d_model": 16, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "max_position_embeddings": 40},
    **{"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2},
}
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "t5": ("T5", T5),
    "flan": ("T5", {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    "mt5": ("MT5", {**T5, "tie_word_embeddings": False}),
    "bart": ("Bart", BART),
    "mbart": ("MBart", {**BART, "scale_embedding": True}),
    "marian": ("Marian", {**BART, "pad_token_id": 60, "decoder_start_token_id": 60, "eos_token_id": 0}),
    "pegasus": ("Pegasus", {**BART, "pad_token_id": 0, "decoder_start_token_id": 0, "eos_token_id": 1}),
}
UNTIED = ("flan", "mt5")
SOURCES, TARGETS = (7, 3, 11, 1), (4, 9, 1, 6)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small models of each kind, as they lie on the hub."""
    made = {}
    for name, (kind, settings) in CONFIGS.items():
        torch.manual_seed(1)
        made[name] = tmp_path_factory.mktemp(name)
        config = getattr(transformers, f"{kind}Config")(vocab_size=VOCABULARY, **settings)
        model = AutoModelForSeq2SeqLM.from_config(config)
        with torch.no_grad():  # larger than they start, so that a wrong logit is far from the right one
            for parameter in model.parameters():
                parameter += 0.2 * torch.randn(parameter.shape)
            if hasattr(model, "final_logits_bias"):
                model.final_logits_bias += torch.randn(VOCABULARY)
            if name in UNTIED:
                model.lm_head.weight = nn.Parameter(torch.randn(VOCABULARY, 16))
        with quiet_transformers():
            model.save_pretrained(made[name])
        file = made[name] / "config.json"
        said = {**json.loads(file.read_text()), **settings}
        said.pop("scale_decoder_outputs", None)  # what this release writes, and no model on the hub has
        file.write_text(json.dumps(said))
    return made


def opened(folder: Path) -> Any:
    return load_seq2seq(ModelSource(folder.name, folder))


def lively(folder: Path) -> Any:
    """A model that looks at what it reads, and does not say one token forever as tied random embeddings make it do."""
    model = opened(folder).eval()
    torch.manual_seed(0)
    model.lm_head.weight = nn.Parameter(3 * torch.randn(VOCABULARY, 16))
    with torch.no_grad():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if "encoder_attn." in name or "shared" in name:
                tensor *= 3
            if name.endswith("bias"):
                tensor *= 0.1
    return model


def pairs() -> list[Pair]:
    draw = np.random.default_rng(0)
    sizes = zip(SOURCES, TARGETS, strict=True)
    return [Pair(draw.integers(3, 60, a), draw.integers(3, 60, b), i) for i, (a, b) in enumerate(sizes)]


def reference(model: Any) -> Tensor:
    """Losses of each pair alone, from full logits."""
    losses = []
    for pair in pairs():
        source, target = torch.from_numpy(pair.source)[None], torch.from_numpy(pair.target)[None]
        logits = model(input_ids=source, labels=target).logits  # transformers shifts the labels itself
        losses.append(F.cross_entropy(logits[0], target[0], reduction="none"))
    return torch.cat(losses)


def shifted(model: Any, name: str) -> dict[str, Any]:
    """A batch of the pairs; MBart starts each from the last token of its own target, which is its language."""
    batch = stack_pairs(pairs(), model.config.pad_token_id, decoder_prefix(model)[0])
    if name == "mbart":
        batch["inputs"]["decoder_input_ids"][:, 0] = torch.tensor([int(pair.target[-1]) for pair in pairs()])
    return batch


def gradients(model: nn.Module, losses: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    losses.mean().backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("chunk", [3, 512])
def test_losses_and_gradients_are_those_of_full_logits(folders: dict[str, Path], name: str, chunk: int) -> None:
    model = opened(folders[name])
    assert is_seq2seq(ModelSource(name, folders[name])) and not supports_packing(model)
    check_language_head(model)
    expected, batch = reference(model), shifted(model, name)
    head = CausalHead()
    losses = supervised_losses(model, batch["inputs"], batch["target"], chunk)
    torch.testing.assert_close(losses, expected, rtol=1e-5, atol=1e-5)
    sums = [part.sum() for part in expected.split(list(TARGETS))]
    torch.testing.assert_close(head.loss(head.forward(model, batch), batch["target"]), torch.stack(sums))
    assert head.units(batch).tolist() == list(TARGETS)
    ours, theirs = gradients(model, losses), gradients(model, expected)
    assert ours.keys() == theirs.keys() and len(ours) > 20
    for key in ours:
        torch.testing.assert_close(ours[key], theirs[key], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name,wrong", [("t5", {"scale_decoder_outputs": False}), ("flan", {"logit_scale": 2.0})])
def test_a_scale_that_is_not_the_models_own_is_seen(folders: dict[str, Path], name: str, wrong: dict[str, Any]) -> None:
    model = opened(folders[name])
    own = type(model).forward
    kept = {key: getattr(model.config, key, None) for key in wrong}

    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        vars(self.config).update(kept)
        made = own(self, *args, **kwargs)
        vars(self.config).update(wrong)
        return made

    model.forward = forward.__get__(model)
    with user_error("model.no-plain-final-layer", where="model.name"):
        check_language_head(model)


def test_embeddings_are_untied_where_their_weights_are(folders: dict[str, Path]) -> None:
    for name in CONFIGS:
        model = opened(folders[name])
        tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
        assert tied == (name not in UNTIED)
    t5, flan = (opened(folders[name]).config.scale_decoder_outputs for name in ("t5", "flan"))
    assert t5 and not flan


def alone(model: Any, prompt: Sequence[int], stop_ids: Sequence[int], **settings: Any) -> list[int]:
    """The answer of transformers' own `generate` to one prompt, without what the model always starts from."""
    ids = torch.tensor([prompt])
    config = GenerationConfig(eos_token_id=list(stop_ids) or None, pad_token_id=0, **{"do_sample": False, **settings})
    with torch.no_grad():
        whole = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
    answer = whole[0, len(decoder_prefix(model)) :].tolist()
    closing = next((place for place, token in enumerate(answer) if token in stop_ids), len(answer))
    return answer[:closing]


class Padding:
    pad_token_id = 0


def prompts() -> list[list[int]]:
    draw = np.random.default_rng(2)
    return [draw.integers(3, 60, size).tolist() for size in (1, 17, 9, 30, 9, 4)]


def closing_token(answers: Sequence[list[int]]) -> list[int]:
    """The token that would close these answers at as many different lengths as any."""
    tokens = sorted({token for answer in answers for token in answer})
    lengths = {t: len({answer.index(t) if t in answer else len(answer) for answer in answers}) for t in tokens}
    return [max(tokens, key=lambda token: lengths[token])]


@pytest.mark.parametrize(
    "name,forced",
    [(n, False) for n in ("t5", "flan", "bart", "mbart", "marian", "pegasus")] + [("t5", True), ("mbart", True)],
)
def test_an_answer_is_that_of_the_prompt_alone(folders: dict[str, Path], name: str, forced: bool) -> None:
    model = lively(folders[name])
    model.generation_config = GenerationConfig(decoder_start_token_id=model.config.decoder_start_token_id)
    if forced:
        model.generation_config.forced_bos_token_id = 50
    assert decoder_prefix(model) == [model.config.decoder_start_token_id, *[50] * forced]
    closing = closing_token(generate(model, Padding(), prompts(), Generation(12), []))
    new = 12 + forced  # transformers counts the forced token among the new ones
    expected = [alone(model, prompt, closing, max_new_tokens=new) for prompt in prompts()]
    assert len({len(answer) for answer in expected}) > 1
    assert generate(model, Padding(), prompts(), Generation(12), closing, 3) == expected
    assert generate(model, Padding(), prompts(), Generation(12), closing, 8) == expected
    model.lm_head.weight.data /= 8  # less sure of itself, or beams find nothing better
    greedy, beams = ([alone(model, p, [7], max_new_tokens=new, num_beams=n) for p in prompts()[:4]] for n in (1, 3))
    assert generate(model, Padding(), prompts()[:4], Generation(12, num_beams=3), [7]) == beams
    assert beams != greedy


def test_the_encoder_reads_once_and_rows_leave(folders: dict[str, Path]) -> None:
    model = lively(folders["bart"])
    read: list[int] = []
    written: list[tuple[int, ...]] = []
    model.get_encoder().register_forward_pre_hook(lambda *_: read.append(1))
    model.get_decoder().register_forward_pre_hook(
        lambda _, args, kwargs: written.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    closing = closing_token(generate(model, Padding(), prompts(), Generation(12), []))
    read.clear()
    written.clear()
    answers = generate(model, Padding(), prompts(), Generation(12), closing, batch_size=6)
    assert read == [1]
    open_rows = [sum(len(answer) >= step for answer in answers) for step in range(len(written))]
    assert written == [(rows, 1) for rows in open_rows] and len(set(open_rows)) > 1


def test_nothing_else_of_a_generation_config_is_read(folders: dict[str, Path]) -> None:
    model = lively(folders["bart"])
    plain = [generate(model, Padding(), prompts(), Generation(9, num_beams=n), [2]) for n in (1, 3)]
    own = GenerationConfig(decoder_start_token_id=2, min_length=8, no_repeat_ngram_size=1, num_beams=4, max_length=3)
    model.generation_config = own
    own.forced_eos_token_id, own.repetition_penalty, own.length_penalty = 9, 3.0, 4.0
    assert [generate(model, Padding(), prompts(), Generation(9, num_beams=n), [2]) for n in (1, 3)] == plain
    assert model.generation_config is own


def test_draws_belong_to_the_row_and_a_stream_gives_the_first(folders: dict[str, Path]) -> None:
    model = opened(folders["t5"])
    settings = Generation(10, do_sample=True, temperature=0.8, top_p=0.9, seed=3)
    together = generate(model, Padding(), prompts(), settings, [1], batch_size=8)
    assert generate(model, Padding(), prompts(), settings, [1], batch_size=3) == together

    class Numbers(Padding):
        def decode(self, ids: Sequence[int], **_: Any) -> str:
            return " ".join(map(str, ids))

    assert "".join(stream(model, Numbers(), prompts()[0], settings, [1])) == " ".join(map(str, together[0]))


def test_what_does_not_fit_is_told(folders: dict[str, Path]) -> None:
    bart, t5 = opened(folders["bart"]), opened(folders["t5"])
    long = [[5] * 4, [5] * 41]
    assert len(generate(bart, Padding(), [[5] * 40], Generation(40), [])[0]) == 40
    with user_error(
        "generation.no-room", where="prompt", match="prompt 2 has 41 tokens, and the encoder has 40 positions"
    ):
        generate(bart, Padding(), long, Generation(2), [])
    with user_error(
        "generation.no-room",
        where="max_new_tokens",
        match="41 new tokens after 1 do not fit: the decoder has 40 positions",
    ):
        generate(bart, Padding(), [[5]], Generation(41), [])
    t5.config.n_positions = 20  # as T5's own say; there is no such limit
    assert len(generate(t5, Padding(), long, Generation(45), [])[1]) == 45
    bart.generation_config = GenerationConfig()
    bart.config.decoder_start_token_id = None
    with user_error(
        "model.no-start-token",
        where="config.json",
        match="start token of this BartForConditionalGeneration's decoder is not set",
    ):
        generate(bart, Padding(), [[5]], Generation(2), [])


@pytest.mark.parametrize("name", ["t5", "flan", "bart", "marian"])
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # peft
def test_adapters_sit_in_encoder_and_decoder_and_merge(folders: dict[str, Path], name: str) -> None:
    model = opened(folders[name])
    linear = backbone_linears(model)
    assert len(linear) == len([n for n, m in model.named_modules() if isinstance(m, nn.Linear)]) - 1
    assert not any("lm_head" in each for each in linear)
    tuned = adapt(model, AdaptConfig(method=Method.lora, lora_rank=2, lora_dropout=0.0)).eval()
    assert all(".lora_" in n for n, p in tuned.named_parameters() if p.requires_grad)
    torch.manual_seed(0)
    with torch.no_grad():
        for key, parameter in tuned.named_parameters():
            if "lora_B" in key:
                parameter += 0.1 * torch.randn(parameter.shape)
    batch = shifted(model, name)
    enable_checkpointing(tuned)
    losses = supervised_losses(tuned, batch["inputs"], batch["target"])
    losses.sum().backward()
    check_adapters(tuned)
    check_language_head(tuned)
    answers = generate(tuned, Padding(), prompts(), Generation(8), [])
    plain = merge(tuned)
    merged = supervised_losses(plain, batch["inputs"], batch["target"])
    torch.testing.assert_close(merged, losses, rtol=1e-4, atol=1e-5)
    assert generate(plain, Padding(), prompts(), Generation(8), []) == answers
    torch.testing.assert_close(merged, reference(plain), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["t5", "flan", "mbart"])
def test_the_encoder_lies_below_the_decoder(folders: dict[str, Path], name: str) -> None:
    model = opened(folders[name])
    names = {id(p): n.removeprefix("model.") for n, p in model.named_parameters()}
    groups = parameter_groups(model, OptimConfig(lr=1.0, head_lr=10.0, layer_decay=0.5, weight_decay=0.1))
    rates = {names[id(p)]: group["lr"] for group in groups for p in group["params"]}
    block = "layers" if name == "mbart" else "block"
    norm = "layer_norm" if name == "mbart" else "final_layer_norm"
    expected = {("shared.",): 1 / 16, (f"decoder.{norm}.",): 1.0, (f"encoder.{norm}.",): 1 / 4}
    expected |= {(f"decoder.{block}.{n}.",): rate for n, rate in ((1, 1.0), (0, 1 / 2))}
    expected |= {(f"encoder.{block}.{n}.",): rate for n, rate in ((1, 1 / 4), (0, 1 / 8))}
    expected |= {("lm_head.",): 10.0} if name == "flan" else {}
    more = {("encoder.embed_positions.", "decoder.embed_positions.", "encoder.layernorm_emb", "decoder.layernorm_emb")}
    expected |= dict.fromkeys(more, 1 / 16)
    for key, rate in rates.items():
        assert [r for starts, r in expected.items() if key.startswith(starts)] == [rate], key
    assert is_head("lm_head.weight", model) and not is_head("decoder.final_layer_norm.weight", opened(folders["t5"]))


def test_only_models_with_both_parts_are_taken_for_such(folders: dict[str, Path], tmp_path: Path) -> None:
    said = json.loads((folders["bart"] / "config.json").read_text())
    for more in ({"is_encoder_decoder": False}, {"model_type": "llama"}, {"model_type": None}):
        (tmp_path / "config.json").write_text(json.dumps({**said, **more}))
        assert not is_seq2seq(ModelSource("x", tmp_path))
    assert not is_seq2seq(ModelSource("x", tmp_path / "nothing"))


def test_models_load_whole_or_not_at_all(folders: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    source = ModelSource("t5", folders["t5"])
    model: Any = load_seq2seq(source, dropout=0.3)
    assert model.config.dropout_rate == 0.3 and model.dtype == torch.float32
    fresh: Any = load_seq2seq(source, fresh=True)
    assert fresh.shared.weight.shape == model.shared.weight.shape
    assert not torch.equal(fresh.shared.weight, model.shared.weight)
    weights = load_file(folders["t5"] / "model.safetensors")
    weights.pop("encoder.block.0.layer.0.SelfAttention.q.weight")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_text((folders["t5"] / "config.json").read_text())
    with user_error("model.mismatch", where=str(tmp_path), match=r"are not in the file, such as encoder\.block\.0"):
        load_seq2seq(ModelSource("broken", tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": 9}))
    with user_error(
        "model.wrong-kind", where="model.name", match="cannot be used as a model with an encoder and a decoder"
    ):
        load_seq2seq(ModelSource("llama", tmp_path))


def test_padding_is_never_learnt(folders: dict[str, Path]) -> None:
    batch = shifted(opened(folders["t5"]), "t5")
    assert (batch["target"] != IGNORE_INDEX).sum(1).tolist() == list(TARGETS)
