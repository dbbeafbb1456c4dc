"""Several answers to a prompt, their scores those of full logits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from tests.user_error import user_error
from tunebook.families.text_generation.model.candidates import Candidate, score_candidates, write_candidates
from tunebook.families.text_generation.model.generate import generate
from tunebook.families.text_generation.model.generation import Generation
from tunebook.families.text_generation.model.seq2seq import decoder_prefix

VOCABULARY = 61
KINDS = ["llama", "t5", "bart"]


def made(kind: str) -> Any:
    torch.manual_seed(0)
    if kind == "llama":
        sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
        model: Any = LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, max_position_embeddings=64, **sizes))
    elif kind == "t5":
        sizes = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2, "decoder_start_token_id": 0}
        model = T5ForConditionalGeneration(T5Config(vocab_size=VOCABULARY, **sizes))
    else:
        parts = {f"{part}_{what}": 2 for part in ("encoder", "decoder") for what in ("layers", "attention_heads")}
        sizes = {"d_model": 16, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "max_position_embeddings": 64}
        model = BartForConditionalGeneration(BartConfig(vocab_size=VOCABULARY, **sizes, **parts))
        model.final_logits_bias += torch.randn(VOCABULARY)
        model.generation_config = GenerationConfig(decoder_start_token_id=2, forced_bos_token_id=50)
    model.lm_head.weight = nn.Parameter(torch.randn(VOCABULARY, 16))
    return model.eval()


class Padding:
    pad_token_id = 0


def prompts(sizes: Sequence[int] = (5, 11, 1, 7, 5)) -> list[list[int]]:
    draw = np.random.default_rng(0)
    return [draw.integers(3, VOCABULARY, size).tolist() for size in sizes]


@torch.no_grad()
def mean_log_probability(model: Any, prompt: list[int], answer: list[int]) -> float:
    """From the full logits of one prompt and its answer alone."""
    if model.config.is_encoder_decoder:
        before = decoder_prefix(model)
        read = torch.tensor([[*before, *answer]])
        logits = model(input_ids=torch.tensor([prompt]), decoder_input_ids=read).logits[0]
    else:
        before = prompt
        logits = model(input_ids=torch.tensor([[*prompt, *answer]])).logits[0]
    shares = logits.double().log_softmax(-1)
    places = range(len(before) - 1, len(before) - 1 + len(answer))
    return float(np.mean([float(shares[place, token]) for place, token in zip(places, answer, strict=True)]))


def check_scores(model: Any, prompt: list[int], several: list[Candidate], stop: int, most: int) -> None:
    for one in several:
        assert one.finished == (len(one.ids) < most)
        answer = [*one.ids, stop] if one.finished else one.ids
        assert one.score == pytest.approx(mean_log_probability(model, prompt, answer), abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_given_answers_are_scored_by_full_logits(kind: str) -> None:
    model = made(kind)
    model.train()  # whose dropout must play no part
    answers = prompts((3, 1, 9, 2, 6))
    done: list[int] = []
    scores = score_candidates(model, prompts(), answers, batch_size=2, advance=done.append)
    assert model.training and done == [2, 2, 1]
    model.eval()
    expected = [mean_log_probability(model, *pair) for pair in zip(prompts(), answers, strict=True)]
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert score_candidates(model, [], []).shape == (0,)
    with pytest.raises(ValueError, match="at least one token"):
        score_candidates(model, [[1]], [[]])


@pytest.mark.parametrize("kind", KINDS)
def test_one_candidate_is_the_answer(kind: str) -> None:
    model, stop = made(kind), 17
    for settings in (Generation(8), Generation(8, do_sample=True, temperature=0.7, seed=2)):
        answers = generate(model, Padding(), prompts(), settings, [stop])
        found = write_candidates(model, Padding(), prompts(), settings, 1, [stop], batch_size=2)
        assert [[one.ids for one in several] for several in found] == [[answer] for answer in answers]
        for prompt, several in zip(prompts(), found, strict=True):
            check_scores(model, prompt, several, stop, 8)


@pytest.mark.parametrize("kind", KINDS)
def test_draws_beside_the_greedy_answer(kind: str) -> None:
    model = made(kind)
    settings = Generation(8, do_sample=True, temperature=0.9, top_p=0.95, seed=2)
    stop = write_candidates(model, Padding(), prompts(), settings, 4, [])[1][2].ids[4]
    found = write_candidates(model, Padding(), prompts(), settings, 4, [stop], batch_size=8)
    texts = [[one.ids for one in several] for several in found]
    assert [several[0] for several in texts] == generate(model, Padding(), prompts(), Generation(8), [stop])
    assert any(len(set(map(tuple, several))) > 2 for several in texts)
    assert len({len(one) for several in texts for one in several}) > 1, "some leave their batch early"
    assert all(len(several) == 4 for several in texts) and texts[0] != texts[4]
    for prompt, several in zip(prompts(), found, strict=True):
        check_scores(model, prompt, several, stop, 8)
    for n, batch_size in ((4, 1), (4, 99), (2, 4)):  # neither the rows beside it nor how many are drawn
        again = write_candidates(model, Padding(), prompts(), settings, n, [stop], batch_size)
        assert [[one.ids for one in several] for several in again] == [several[:n] for several in texts]
    other = write_candidates(model, Padding(), prompts(), Generation(8, do_sample=True, seed=3), 4, [stop])
    assert [one.ids for one in other[0]][1:] != texts[0][1:]


@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_is_read_once_for_all_its_draws(kind: str) -> None:
    model = made(kind)
    first = model.get_encoder().layers[0] if kind == "bart" else None
    first = model.encoder.block[0] if kind == "t5" else first or model.model.layers[0]
    shapes: list[tuple[int, ...]] = []
    first.register_forward_pre_hook(lambda _, args: shapes.append(tuple(args[0].shape[:2])))
    write_candidates(model, Padding(), prompts((5, 5)), Generation(3, do_sample=True), 4, [], batch_size=8)
    assert shapes == ([(2, 5), (8, 1), (8, 1)] if kind == "llama" else [(2, 5)])


@pytest.mark.parametrize("kind", KINDS)
def test_the_best_beams_are_those_of_transformers(kind: str) -> None:
    model, stop = made(kind), 17
    done: list[int] = []
    settings = Generation(6, num_beams=4)
    found = write_candidates(model, Padding(), prompts(), settings, 3, [stop], batch_size=8, advance=done.append)
    assert done == [2, 2, 1]
    start = len(decoder_prefix(model)) if model.config.is_encoder_decoder else None
    for prompt, several in zip(prompts(), found, strict=True):
        wanted = GenerationConfig(
            max_new_tokens=6 + max(0, (start or 1) - 1),
            num_beams=4,
            num_return_sequences=3,
            eos_token_id=stop,
            pad_token_id=0,
            do_sample=False,
        )
        whole = model.generate(torch.tensor([prompt]), generation_config=wanted)
        own = [ids[start or len(prompt) :] for ids in whole.tolist()]
        own = [ids[: ids.index(stop)] if stop in ids else ids for ids in own]
        assert [one.ids for one in several] == own
        assert len(set(map(tuple, own))) == 3
        check_scores(model, prompt, several, stop, 6)


def test_more_candidates_than_there_are_answers_are_refused() -> None:
    model = made("t5")
    with user_error(
        "generation.too-many-candidates", where="recipe.candidates", match="gives one answer, and 3 candidates"
    ):
        write_candidates(model, Padding(), prompts(), Generation(2), 3, [])
    with user_error(
        "generation.too-many-candidates", where="recipe.candidates", match="3 candidates cannot come from 2 beams"
    ):
        write_candidates(model, Padding(), prompts(), Generation(2, num_beams=2), 3, [])
    with pytest.raises(ValueError, match="starts at 1"):
        write_candidates(model, Padding(), prompts(), Generation(2), 0, [])
    assert write_candidates(model, Padding(), [], Generation(2, num_beams=3), 3, []) == []


def test_an_answer_of_nothing_is_scored_by_the_token_that_closes_it() -> None:
    model = made("llama")
    everything = list(range(VOCABULARY))
    ((one,),) = write_candidates(model, Padding(), [[5, 6]], Generation(4), 1, everything)
    first = generate(model, Padding(), [[5, 6]], Generation(1), [])[0]
    assert one.ids == [] and one.score == pytest.approx(mean_log_probability(model, [5, 6], first), abs=1e-5)


STARTER = Path(__file__).parents[4] / "core/models/starters/starter_text"


def test_likelier_copy_scores_higher() -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tunebook.models.quiet import quiet_transformers

    with quiet_transformers():
        model: Any = AutoModelForCausalLM.from_pretrained(STARTER, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(STARTER)
    prompt = tokenizer("She opened the door and went into the")["input_ids"]
    answers = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (" room.", " of were.")]
    likely, unlikely = score_candidates(model, [prompt, prompt], answers)
    assert likely > unlikely
