from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.text import Text
from tokenizers import AddedToken
from transformers import AutoTokenizer

from tests.user_error import user_error
from tunebook.families.text_generation.data.answers import Supervised
from tunebook.families.text_generation.data.supervision import CONTROL, SUPERVISED, Fitted, audit, coloured, fit
from tunebook.families.text_generation.data.template import ChatTemplate
from tunebook.families.text_generation.options import Overlength
from tunebook.models.source import STARTERS

END = 2  # <|end|>


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(STARTERS / "starter_text")


@pytest.fixture(scope="module")
def template(tokenizer: Any) -> ChatTemplate:
    return ChatTemplate.of(tokenizer)


@pytest.fixture(scope="module")
def chatml() -> ChatTemplate:
    """A template of the other method."""
    tokenizer = AutoTokenizer.from_pretrained(STARTERS / "starter_text")
    tokenizer.add_tokens([AddedToken(t, normalized=False, special=True) for t in ("<|im_start|>", "<|im_end|>")])
    return ChatTemplate.of(tokenizer, Path(__file__).parent / "templates/chatml.jinja")


def chat(rounds: int, words: int = 3, system: bool = True) -> list[dict[str, str]]:
    """Rounds whose answers are told apart by their number."""
    turns = [{"role": "system", "content": "Be kind."}] if system else []
    for number in range(1, rounds + 1):
        turns.append({"role": "user", "content": f"ask {number}" + " please" * words})
        turns.append({"role": "assistant", "content": f"reply {number}" + " gladly" * words})
    return turns


def learnt_answers(row: Supervised, tokenizer: Any) -> list[str]:
    said = tokenizer.decode(row.ids[row.supervised]).replace("<|im_end|>", "<|end|>")
    return [" ".join(answer.split()[:2]) for answer in said.split("<|end|>")[:-1]]


def test_a_conversation_that_fits_is_one_row(template: ChatTemplate) -> None:
    turns = chat(3)
    length = len(template.supervise(turns))
    for policy in Overlength:
        fitted = fit(turns, template, length, policy)
        assert len(fitted.rows) == 1 and not fitted.split and not fitted.rejected
        assert fitted.tokens == len(fitted.rows[0]) == length


def test_what_follows_the_last_answer_is_left_out(template: ChatTemplate) -> None:
    turns = chat(2)
    more = [*turns, {"role": "user", "content": "and then?"}]
    assert fit(more, template, 500).rows[0].ids.tolist() == template.supervise(turns).ids.tolist()


@pytest.mark.parametrize("name", ["template", "chatml"])
@pytest.mark.parametrize("system", [True, False])
@pytest.mark.parametrize("share", [0.35, 0.6, 0.9])
def test_split_turns_learns_each_answer_once(
    name: str, system: bool, share: float, request: pytest.FixtureRequest
) -> None:
    template: ChatTemplate = request.getfixturevalue(name)
    tokenizer = template.rendering.tokenizer
    turns = chat(8, system=system)
    max_length = int(len(template.supervise(turns)) * share)
    fitted = fit(turns, template, max_length)
    assert fitted.split and not fitted.rejected
    answers = [learnt_answers(row, tokenizer) for row in fitted.rows]
    assert [answer for row in answers for answer in row] == [f"reply {number}" for number in range(1, 9)]
    assert [len(row) for row in answers[1:]] == [1] * (len(answers) - 1)
    for row, supervised in zip(fitted.rows, answers, strict=True):
        text = tokenizer.decode(row.ids)
        assert len(row) <= max_length
        assert text.count("Be kind.") == int(system)
        assert np.flatnonzero(row.ids == template.end_of_turn_ids[0])[-1] == np.flatnonzero(row.supervised)[-1]
        # As many turns as fit: with one round more in front, or behind the first row, it would be too long.
        last = int(supervised[-1].split()[1])
        rounds = text.count("ask ")
        assert text.count("reply ") == rounds
        whole = chat(8, system=system)
        first = last - rounds + 1 if row is not fitted.rows[0] else 1
        lead = whole[: int(system)]
        begin, end = int(system) + 2 * (first - 1), int(system) + 2 * last
        assert row.ids.tolist() == template.supervise([*lead, *whole[begin:end]]).ids.tolist()
        longer = [*lead, *whole[begin - 2 : end]] if row is not fitted.rows[0] else whole[: end + 2]
        assert len(template.supervise(longer)) > max_length


def test_an_answer_that_never_fits_is_rejected_with_its_length_and_the_others_are_learnt(
    template: ChatTemplate, tokenizer: Any
) -> None:
    turns = chat(4)
    turns[4]["content"] += " gladly" * 100
    alone = template.supervise([*turns[:1], *turns[3:5]])
    fitted = fit(turns, template, 80)
    assert fitted.rejected == (f"turn 5: with its question alone it has {len(alone)} tokens, over data.max_length=80",)
    answers = [answer for row in fitted.rows for answer in learnt_answers(row, tokenizer)]
    assert answers == ["reply 1", "reply 3", "reply 4"]
    assert all(len(row) <= 80 for row in fitted.rows)


def test_the_other_policies_take_a_long_conversation_whole_or_not_at_all(template: ChatTemplate) -> None:
    turns = chat(5)
    length = len(template.supervise(turns))
    told = f"has {length} tokens, over data.max_length=50"
    assert fit(turns, template, 50, Overlength.reject) == Fitted(rejected=(told,), tokens=length)
    with user_error("data.too-long", where="chats.jsonl:7", match=f"A conversation {told}") as error:
        fit(turns, template, 50, Overlength.error, where="chats.jsonl:7")
    assert error.value.where == "chats.jsonl:7"


def test_what_cannot_be_learnt_is_rejected_with_the_reason(template: ChatTemplate) -> None:
    assert fit(chat(1)[:2], template, 100).rejected == ("the assistant says nothing",)
    forged = [*chat(1), {"role": "user", "content": "\ufdd0"}, {"role": "assistant", "content": "no"}]
    (reason,) = fit(forged, template, 100).rejected
    assert reason == "turn 4 contains a noncharacter (U+FDD0 or U+FDD1)"


def row(ids: list[int], supervised: list[int]) -> Supervised:
    return Supervised(np.array(ids, dtype=np.int32), np.array(supervised, dtype=bool))


def test_the_audit_counts_what_the_rows_hold() -> None:
    rows = [
        row([1, 4, 9, END, 5, 8, END], [0, 0, 0, 0, 0, 1, 1]),  # ends as it should
        row([1, 5, 8, 8, 4, 9, 5, 8, END], [0, 0, 1, 1, 0, 0, 0, 1, 1]),  # the first of two answers does not
        row([1, 4, 9, END], [0, 0, 0, 0]),
        row([1, 5, 8, END, 4, 9, END, 9], [0, 0, 1, 1, 0, 0, 0, 0]),  # over the length, but not its answer
    ]
    found = audit(rows, max_length=7, end_of_turn_ids=[END])
    assert (found.rows, found.tokens, found.supervised, found.unsupervised) == (4, 28, 8, 1)
    assert (found.over, found.cut, found.answers, found.unended) == (2, 1, 4, 1)
    facts = found.facts()
    assert facts["supervised tokens"] == "8 of 28 (28.6%) in 4 rows"
    assert facts["end of turn"] == "supervised in 3 of 4 answers"
    assert audit([], 7, [END]).answers == 0


def test_the_audit_of_fitted_rows_finds_nothing_wrong(template: ChatTemplate) -> None:
    fitted = fit(chat(8), template, 100)
    found = audit(fitted.rows, 100, template.end_of_turn_ids)
    assert (found.answers, found.unended, found.unsupervised, found.over) == (8, 0, 0, 0)


def styles(text: Text) -> list[tuple[str, str]]:
    return [(text.plain[span.start : span.end], str(span.style)) for span in text.spans]


def test_learnt_and_control_tokens_are_coloured(template: ChatTemplate, tokenizer: Any) -> None:
    turns = [{"role": "user", "content": "Hi [red] 👋"}, {"role": "assistant", "content": " Good day,\ndear"}]
    shown = template.supervise(turns)
    text = coloured(shown.ids, shown.supervised, tokenizer)
    assert text.plain == "<|endoftext|><|user|>Hi [red] 👋<|end|><|assistant|> Good day,\ndear<|end|>"
    assert styles(text) == [
        ("<|endoftext|><|user|>", CONTROL),
        ("<|end|><|assistant|>", CONTROL),
        (" Good day,\ndear", SUPERVISED),
        ("<|end|>", f"{SUPERVISED} {CONTROL}"),
    ]


def test_control_characters_cannot_steer_the_terminal(template: ChatTemplate, tokenizer: Any) -> None:
    turns = [{"role": "user", "content": "\x1b[31mred\x07"}, {"role": "assistant", "content": "no"}]
    shown = template.supervise(turns)
    plain = coloured(shown.ids, shown.supervised, tokenizer).plain
    assert "\x1b" not in plain and "␛[31mred␇" in plain
