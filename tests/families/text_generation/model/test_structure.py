"""Answers kept to a JSON schema: a model that never saw JSON writes nothing else, however few tokens it has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.user_error import user_error
from tunebook.families.text_generation.model.candidates import write_candidates
from tunebook.families.text_generation.model.generate import stream, write
from tunebook.families.text_generation.model.generation import Generation, UnusableGeneration
from tunebook.families.text_generation.model.structure import check_fits, grammar_of
from tunebook.models.quiet import quiet_transformers

STARTER = Path(__file__).parents[4] / "core/models/starters/starter_text"
TEXT = {"type": "string", "minLength": 1}
COPY = {
    "type": "object",
    "properties": {"headline": TEXT, "body": TEXT, "call_to_action": TEXT},
    "required": ["headline", "body", "call_to_action"],
    "additionalProperties": False,
}
NESTED = {
    "type": "object",
    "properties": {
        "tone": {"enum": ["plain", "playful"]},
        "points": {
            "type": "array",
            "minItems": 2,
            "maxItems": 3,
            "items": {
                "type": "object",
                "properties": {"price": {"type": "integer", "minimum": 9, "maximum": 99}, "text": TEXT},
                "required": ["price", "text"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["tone", "points"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def starter() -> tuple[Any, Any]:
    with quiet_transformers():
        return AutoModelForCausalLM.from_pretrained(STARTER), AutoTokenizer.from_pretrained(STARTER)


@pytest.fixture(scope="module")
def prompts(starter: tuple[Any, Any]) -> list[list[int]]:
    said = ("Say hello.", "What does it cost?", "Write about the Harrow Hook, oak and brass, $58.")
    return [
        starter[1].apply_chat_template([{"role": "user", "content": text}], add_generation_prompt=True)["input_ids"]
        for text in said
    ]


def answers(starter: tuple[Any, Any], prompts: list[list[int]], settings: Generation, n: int = 1) -> list[list[str]]:
    model, tokenizer = starter
    found = write(model, tokenizer, prompts, settings, {tokenizer.eos_token_id}, 2, "cpu", lambda done: None, n)
    return [[tokenizer.decode(one.said, skip_special_tokens=True) for one in several] for several in found]


@pytest.mark.parametrize("schema", [COPY, NESTED], ids=["copy", "nested"])
@pytest.mark.parametrize("most", [76, 100, 160])
def test_every_answer_is_what_the_schema_says(
    starter: tuple[Any, Any], prompts: list[list[int]], schema: dict[str, Any], most: int
) -> None:
    checker = Draft202012Validator(schema)
    for sampled in (False, True):
        settings = Generation(most, do_sample=sampled, temperature=1.5, seed=3, schema=json.dumps(schema))
        for several in answers(starter, prompts, settings, n=1 + 2 * sampled):
            for text in several:
                checker.validate(json.loads(text))
                assert list(json.loads(text)) == list(schema["properties"])


def test_without_a_schema_nothing_is_json(starter: tuple[Any, Any], prompts: list[list[int]]) -> None:
    for (text,) in answers(starter, prompts, Generation(48)):
        with pytest.raises(json.JSONDecodeError):
            json.loads(text)


def test_only_what_would_break_the_schema_is_passed_over(starter: tuple[Any, Any], prompts: list[list[int]]) -> None:
    """Where all is text the model chooses as it does by itself: its free answer to the same tokens goes on alike."""
    model, tokenizer = starter
    stops = {tokenizer.eos_token_id}
    kept = write(
        model, tokenizer, prompts, Generation(160, schema=json.dumps(COPY)), stops, 3, "cpu", lambda done: None
    )
    opening = tokenizer.encode('{"headline": "', add_special_tokens=False)
    for prompt, (one,) in zip(prompts, kept, strict=True):
        assert one.ids[: len(opening)] == opening
        free = write(model, tokenizer, [[*prompt, *opening]], Generation(4), stops, 1, "cpu", lambda done: None)
        chosen = tokenizer.decode(one.ids[len(opening) : len(opening) + 4])
        wanted = tokenizer.decode(free[0][0].ids)
        shared = wanted.partition('"')[0].partition("\n")[0].partition("\\")[0]
        assert shared and chosen.startswith(shared)


def test_an_answer_without_room_is_closed_and_counts_as_cut_off(
    starter: tuple[Any, Any], prompts: list[list[int]]
) -> None:
    model, tokenizer = starter
    stops = {tokenizer.eos_token_id}
    settings = Generation(48, schema=json.dumps(COPY))
    found = [each[0] for each in write(model, tokenizer, prompts, settings, stops, 3, "cpu", lambda done: None)]
    assert any(not one.finished for one in found)
    for one in found:
        Draft202012Validator(COPY).validate(json.loads(tokenizer.decode(one.said)))
        assert len(one.ids) <= 48
    cut = []
    pieces = [
        "".join(stream(model, tokenizer, prompt, settings, stops, lambda number=number: cut.append(number)))
        for number, prompt in enumerate(prompts)
    ]
    assert pieces == [tokenizer.decode(one.said) for one in found]
    assert cut == [number for number, one in enumerate(found) if not one.finished]


def test_candidates_are_all_kept_to_it(starter: tuple[Any, Any], prompts: list[list[int]]) -> None:
    model, tokenizer = starter
    settings = Generation(100, do_sample=True, seed=1, schema=json.dumps(NESTED))
    for several in write_candidates(model, tokenizer, prompts, settings, 3, {tokenizer.eos_token_id}):
        assert len({tuple(one.ids) for one in several}) > 1
        for one in several:
            Draft202012Validator(NESTED).validate(json.loads(tokenizer.decode(one.ids)))


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "unsatisfiable"),
        ({"type": "object", "properties": {"a": {"enum": []}}, "required": ["a"]}, "unsatisfiable"),
        ({"type": "object", "properties": {"a": {**TEXT, "maxLength": 0}}, "required": ["a"]}, "unsatisfiable"),
        ({"type": "object", "properties": {"a": {"not": {"type": "string"}}}, "required": ["a"]}, "not"),
        ({"type": "objekt"}, "objekt"),
    ],
)
def test_a_schema_that_cannot_be_kept_is_refused(schema: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        grammar_of(json.dumps(schema))


def test_the_shortest_answer_must_have_room(starter: tuple[Any, Any]) -> None:
    tokenizer = starter[1]
    stops = [tokenizer.eos_token_id]
    # each text has a character, and the token that closes the answer counts
    shortest = (
        len(tokenizer.encode('{"headline": "'))
        + len(tokenizer.encode('{"body": "'))
        + len(tokenizer.encode('{"call_to_action": "'))
    )
    check_fits(json.dumps(COPY), tokenizer, stops, shortest + 10)
    with user_error("generation.no-room", where="recipe.max_new_tokens"):
        check_fits(json.dumps(COPY), tokenizer, stops, 8)


def test_beam_search_keeps_to_none() -> None:
    with pytest.raises(UnusableGeneration, match="num_beams=1"):
        Generation(num_beams=2, schema="{}")
