from __future__ import annotations

import json

import pytest

from tunebook.families.text_generation.data.check import check
from tunebook.families.text_generation.data.message import Message, UnusableConversation
from tunebook.families.text_generation.data.parse import parse
from tunebook.families.text_generation.options import ConversationFormat

NAMES = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}


def turns(order: str) -> list[Message]:
    """Messages by the first letters of their roles."""
    return [Message(NAMES[letter], f"word {i}") for i, letter in enumerate(order)]  # type: ignore[arg-type]


@pytest.mark.parametrize("order", ["ua", "sua", "uaua", "suauaua", "uata", "uattaua", "suataua"])
def test_orders_that_templates_take_are_good(order: str) -> None:
    check(turns(order))


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ("", "no turns"),
        ("u", "no assistant turn"),
        ("s", "no assistant turn"),
        ("su", "no assistant turn"),
        ("au", "turn 1 is an assistant turn, and no user turn is before it"),
        ("sa", "turn 2 is an assistant turn, and no user turn is before it"),
        ("uauu", "turn 4 is a second user turn in a row"),
        ("uuaa", "turn 2 is a second user turn in a row"),
        ("uaa", "turn 3 is a second assistant turn in a row"),
        ("ssua", "turn 2 is a system turn, and only the first may be"),
        ("uasua", "turn 3 is a system turn, and only the first may be"),
        ("tua", "turn 1 is a tool turn, and no assistant turn that calls it is before it"),
        ("utua", "turn 2 is a tool turn, and no assistant turn that calls it is before it"),
        ("uatua", "turn 4 is a user turn, and the assistant has not answered the tool before it"),
        ("uau", "turn 3, the last, is a user turn without an answer"),
        ("uat", "turn 3, the last, is a tool turn without an answer"),
    ],
)
def test_orders_that_teach_nothing_or_break_templates_are_told(order: str, reason: str) -> None:
    with pytest.raises(UnusableConversation) as caught:
        check(turns(order))
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "turn 3 is empty"),
        (" \n\u3000", "turn 3 is only white space"),
        ("a\0b", "turn 3 contains a NUL character"),
        ("a\ud83db", r"turn 3 contains half of a surrogate pair (\ud800-\udfff)"),
    ],
)
def test_contents_that_cannot_be_learned_are_told(content: str, reason: str) -> None:
    with pytest.raises(UnusableConversation) as caught:
        check([*turns("ua"), Message("user", content), Message("assistant", "fine")])
    assert str(caught.value) == reason


ROLES = "(system, user, assistant, tool)"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no turns"),
        ("[]", "no turns"),
        ("{}", "not a list of turns but an object"),
        ('"hello"', "not a list of turns but a text"),
        ("null", "not a list of turns but null"),
        ("[1", "not JSON: Expecting ',' delimiter at column 3"),
        (
            "[{'role': 'user'}]",
            "not JSON: Expecting property name enclosed in double quotes at column 3 "
            "(Python wrote it: use json.dumps, not str)",
        ),
        ("[" * 100_000, "nested too deeply"),
        (f"[{'1' * 5000}]", "has a number with too many digits"),
        ("[NaN]", "contains NaN, which is not JSON"),
        ('[{"role": "user", "role": "assistant"}]', "the key 'role' occurs more than once in an object"),
        ('["hello"]', "turn 1 is a text, not an object with role and content"),
        ('[{"content": "x"}]', "turn 1 has no role; its keys: content"),
        ('[{"role": "user", "content": "x"}, {"role": "bot"}]', f"unknown role 'bot' in turn 2 {ROLES}"),
        ('[{"role": 5}]', f"unknown role 5 in turn 1 {ROLES}"),
        ('[{"role": "user", "content": 5}]', "turn 1 holds a number, not text"),
        ('[{"role": "user", "content": {"a": 1}}]', "turn 1 holds an object, not text"),
        (
            '[{"role": "assistant", "content": "x", "weight": 0.5}]',
            "turn 1 has the weight 0.5, and only 0 and 1 are supported",
        ),
    ],
)
def test_lists_that_are_no_conversation_are_told(text: str, reason: str) -> None:
    with pytest.raises(UnusableConversation) as caught:
        parse({"messages": text}, ConversationFormat.messages)
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("history", "reason"),
    [
        ('{"a": "b"}', "the history is not a list but an object"),
        ('[["only a question"]]', "the history is not a list of pairs: [[question, answer], ...]"),
        ('[["a question", 5]]', "the history is not a list of pairs: [[question, answer], ...]"),
    ],
)
def test_a_history_is_a_list_of_pairs(history: str, reason: str) -> None:
    with pytest.raises(UnusableConversation) as caught:
        parse({"instruction": "a", "output": "b", "history": history}, ConversationFormat.alpaca)
    assert str(caught.value) == reason


def test_turns_are_counted_over_both_sides_of_a_completion() -> None:
    prompt = [{"role": "user", "content": "x"}]
    row = {"prompt": json.dumps(prompt), "completion": json.dumps([{"role": "bot", "content": "y"}])}
    with pytest.raises(UnusableConversation, match="in turn 2"):
        parse(row, ConversationFormat.prompt_completion)
