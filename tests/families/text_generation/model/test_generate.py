"""Answers in batches are those of transformers asked one by one; draws belong to the row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    Gemma2ForCausalLM,
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    T5Config,
    T5ForConditionalGeneration,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from tests.user_error import user_error
from tunebook.families.text_generation.model.generate import generate, stream
from tunebook.families.text_generation.model.generation import Generation
from tunebook.families.text_generation.model.sampling import choose, probabilities, uniforms
from tunebook.models.key_values import key_values_argument
from tunebook.models.quiet import quiet_transformers

ROOT = Path(__file__).parents[4]
STARTER = ROOT / "core/models/starters/starter_text"
STORIES = ROOT.parent / "shared/data/weights/stories260k_llama_hf"
SAMPLES = ROOT / "tests/rows/customer_chat/test.jsonl"
TALES = ["Once upon a time", "Lily and Tom went to the", "The dog", "One day, a little girl named Lily found a big red"]


def opened(folder: Path) -> tuple[Any, Any]:
    with quiet_transformers():
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        return model, AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def starter() -> tuple[Any, Any]:
    return opened(STARTER)


@pytest.fixture(scope="module")
def chats(starter: tuple[Any, Any]) -> list[list[int]]:
    """Prompts of many lengths: conversations up to a turn of the assistant."""
    prompts = []
    for line in SAMPLES.read_text(encoding="utf-8").splitlines()[:9]:
        messages = json.loads(line)["messages"]
        for turn, message in enumerate(messages):
            if message["role"] == "assistant":
                template = starter[1].apply_chat_template
                prompts.append(template(messages[:turn], add_generation_prompt=True, return_dict=False))
    return prompts


def alone(model: Any, prompt: Sequence[int], stop_ids: Sequence[int], **settings: Any) -> list[int]:
    """The answer of transformers' own `generate` to one prompt."""
    ids = torch.tensor([prompt])
    config = GenerationConfig(eos_token_id=list(stop_ids) or None, pad_token_id=0, **{"do_sample": False, **settings})
    with torch.no_grad():
        whole = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
    answer = whole[0, len(prompt) :].tolist()
    closing = next((place for place, token in enumerate(answer) if token in stop_ids), len(answer))
    return answer[:closing]


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_a_greedy_answer_is_that_of_the_prompt_alone(
    starter: tuple[Any, Any], chats: list[list[int]], batch_size: int
) -> None:
    model, tokenizer = starter
    model.eval()
    stops = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("."), tokenizer.convert_tokens_to_ids(",")]
    expected = [alone(model, prompt, stops, max_new_tokens=24) for prompt in chats]
    assert len({len(answer) for answer in expected}) > 4  # rows leave their batch at different steps
    done: list[int] = []
    got = generate(model, tokenizer, chats, Generation(24), stops, batch_size, advance=done.append)
    assert got == expected
    assert sum(done) == len(chats) and len(done) == -(-len(chats) // batch_size)


@pytest.mark.skipif(not STORIES.is_dir(), reason="the weights of stories260k are not here")
def test_a_model_without_a_template_answers_as_alone() -> None:
    model, tokenizer = opened(STORIES)
    prompts = [tokenizer(tale)["input_ids"] for tale in TALES]
    expected = [alone(model, prompt, [2], max_new_tokens=80) for prompt in prompts]
    assert generate(model, tokenizer, prompts, Generation(80), {2}) == expected
    assert any("Lily" in tokenizer.decode(answer) for answer in expected)  # it tells a story


def random_model(kind: str) -> Any:
    """A small model with learned positions, or with windows of attention shorter than the prompts."""
    torch.manual_seed(3)
    if kind == "gpt2":
        return GPT2LMHeadModel(GPT2Config(vocab_size=97, n_positions=64, n_embd=32, n_layer=2, n_head=2))
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 16}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 64}
    return Gemma2ForCausalLM(Gemma2Config(vocab_size=97, sliding_window=6, **sizes, **heads))


@pytest.mark.parametrize("kind", ["gpt2", "gemma2"])
def test_learned_positions_and_sliding_windows_bear_the_padding(starter: tuple[Any, Any], kind: str) -> None:
    model = random_model(kind).eval()
    draw = np.random.default_rng(0)
    prompts = [draw.integers(3, 97, size).tolist() for size in (1, 3, 17, 9, 30)]
    expected = [alone(model, prompt, range(40, 60), max_new_tokens=20) for prompt in prompts]
    assert len({len(answer) for answer in expected}) > 1
    assert generate(model, starter[1], prompts, Generation(20), range(40, 60)) == expected


def test_beams_are_those_of_the_prompt_alone(starter: tuple[Any, Any], chats: list[list[int]]) -> None:
    model, tokenizer = starter
    model.eval()
    stops = [tokenizer.eos_token_id]
    expected = [alone(model, prompt, stops, max_new_tokens=12, num_beams=3) for prompt in chats[:5]]
    assert generate(model, tokenizer, chats[:5], Generation(12, num_beams=3), stops) == expected


def test_draws_belong_to_the_row_and_not_to_its_batch(starter: tuple[Any, Any], chats: list[list[int]]) -> None:
    model, tokenizer = starter
    settings = Generation(16, do_sample=True, temperature=0.9, top_p=0.95, seed=5)
    together = generate(model, tokenizer, chats, settings, [2], batch_size=32)
    torch.manual_seed(123)  # torch's own generator plays no part
    assert generate(model, tokenizer, chats, settings, [2], batch_size=3) == together
    other = Generation(16, do_sample=True, temperature=0.9, top_p=0.95, seed=6)
    assert generate(model, tokenizer, chats, other, [2], batch_size=3) != together
    twice = generate(model, tokenizer, [chats[0]] * 3, settings, [2])
    assert twice[0] == together[0] and twice[0] != twice[1]


@pytest.mark.parametrize("temperature,top_p", [(1.0, 1.0), (0.7, 1.0), (1.3, 0.9), (1.0, 0.3), (1.0, 1e-6)])
def test_probabilities_are_those_of_transformers(temperature: float, top_p: float) -> None:
    logits = torch.randn(6, 50, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 3
    ids = torch.zeros(6, 1, dtype=torch.long)
    warped = TopPLogitsWarper(top_p)(ids, TemperatureLogitsWarper(temperature)(ids, logits))
    torch.testing.assert_close(probabilities(logits, temperature, top_p), warped.softmax(-1), atol=1e-9, rtol=0)


def test_tokens_are_drawn_as_often_as_they_are_probable() -> None:
    shares = torch.tensor([0.5, 0.0, 0.3, 0.2], dtype=torch.float64)
    draws = uniforms(0, range(4000), 1)[:, 0]
    counts = torch.bincount(choose(shares.log().expand(4000, 4), draws), minlength=4) / 4000
    assert counts[1] == 0
    assert torch.allclose(counts.double(), shares, atol=0.025)  # 3 binomial deviations
    edges = torch.tensor([0.0, 0.4999, 0.5001, 0.7999, 0.8001, 1 - 2**-53], dtype=torch.float64)
    assert choose(shares.log().expand(6, 4), edges).tolist() == [0, 0, 2, 2, 3, 3]


def test_the_pieces_of_a_stream_are_the_answer(starter: tuple[Any, Any], chats: list[list[int]]) -> None:
    model, tokenizer = starter
    answer = generate(model, tokenizer, chats[:1], Generation(30), [])[0]
    pieces = list(stream(model, tokenizer, chats[0], Generation(30), []))
    assert len(pieces) > 10
    assert "".join(pieces) == tokenizer.decode(answer, skip_special_tokens=True)
    drawn = Generation(20, do_sample=True, seed=4)
    expected = tokenizer.decode(generate(model, tokenizer, chats[:1], drawn, [2])[0], skip_special_tokens=True)
    assert "".join(stream(model, tokenizer, chats[0], drawn, [2])) == expected


class Reciting(torch.nn.Module):
    """A causal language model that writes one text, whatever it is asked."""

    def __init__(self, model: Any, ids: Sequence[int]) -> None:
        super().__init__()
        self.model, self.ids, self.config, self.device = model, list(ids), model.config, model.device

    def forward(self, input_ids: Any, attention_mask: Any, use_cache: bool, **remembered: Any) -> Any:
        output = self.model(
            input_ids=input_ids, use_cache=True, **{key_values_argument(self.model): remembered.popitem()[1]}
        )
        said = attention_mask.shape[1] - 1
        output.logits[:, -1, self.ids[said]] = 1e4
        return output


def test_a_character_of_several_tokens_comes_whole(starter: tuple[Any, Any]) -> None:
    model, tokenizer = starter
    text = "Fee: £42, 日本 👍!"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert len(ids) > len(text)  # single bytes among them
    pieces = list(stream(Reciting(model, ids), tokenizer, [1], Generation(len(ids)), []))
    assert "".join(pieces) == text
    assert "👍" in "".join(pieces[-2:]) and not any("\ufffd" in piece for piece in pieces)


def test_the_model_is_put_back_as_it_was(starter: tuple[Any, Any], chats: list[list[int]]) -> None:
    model, tokenizer = starter
    model.train()
    generate(model, tokenizer, chats[:2], Generation(2), [])
    pieces = stream(model, tokenizer, chats[0], Generation(2), [])
    next(pieces)
    assert not model.training and torch.is_grad_enabled()
    pieces.close()
    assert model.training
    model.eval()
    assert generate(model, tokenizer, [], Generation(2), []) == []


def test_a_prompt_beyond_the_positions_is_told(starter: tuple[Any, Any]) -> None:
    model, tokenizer = starter
    prompts = [[5] * 4, [5] * 1000]
    assert len(generate(model, tokenizer, prompts, Generation(24), [])[1]) == 24  # exactly 1,024
    with user_error(
        "generation.no-room",
        where="max_new_tokens",
        match=r"prompt 2 has 1000 tokens.* 25 new ones that is 1025.* 1024 positions",
    ):
        generate(model, tokenizer, prompts, Generation(25), [])
    with user_error("generation.no-room", where="max_new_tokens"):
        next(stream(model, tokenizer, prompts[1], Generation(25), []))
    with pytest.raises(ValueError, match="at least one token"):
        generate(model, tokenizer, [[]], Generation(2), [])


def test_a_decoder_that_starts_from_nothing_is_told(starter: tuple[Any, Any]) -> None:
    model = T5ForConditionalGeneration(T5Config(vocab_size=20, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2))
    with user_error("model.no-start-token", where="config.json"):
        generate(model, starter[1], [[1]], Generation(2), [])


def test_logits_that_are_not_numbers_are_told(starter: tuple[Any, Any]) -> None:
    model = random_model("gpt2")
    model.lm_head.weight.data[3] = float("nan")
    with user_error("model.not-finite", where="model.name", match="NaN or infinite"):
        generate(model, starter[1], [[1, 2]], Generation(2), [])


@pytest.mark.parametrize(
    "settings",
    [{"max_new_tokens": 0}, {"temperature": 0.0}, {"top_p": 0.0}, {"top_p": 1.1}, {"do_sample": True, "num_beams": 2}],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Generation(**settings)
    with pytest.raises(ValueError, match="streamed"):
        next(stream(None, None, [1], Generation(num_beams=2), []))


def test_adapters_answer_as_alone(starter: tuple[Any, Any], chats: list[list[int]]) -> None:
    import peft

    base, tokenizer = opened(STARTER)
    config = peft.LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    with quiet_transformers():  # peft reads a name that transformers is about to drop
        model = peft.get_peft_model(base, config).eval()
    expected = [alone(model, prompt, [2], max_new_tokens=10) for prompt in chats[:4]]
    assert generate(model, tokenizer, chats[:4], Generation(10), [2]) == expected
