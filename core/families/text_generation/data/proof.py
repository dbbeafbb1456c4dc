"""Proof, on conversations made for it, of what a chat template lets learn; a template that fails is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from tunebook.errors import UserError
from tunebook.families.text_generation.data.answers import Answers, Method
from tunebook.families.text_generation.data.rendering import KEY, Rendering, Span, Unsupervisable, bare, tools_of
from tunebook.families.text_generation.data.thinking import switched_off
from tunebook.limits import limited

FIX = (
    "give a template with {% generation %} before each answer of the assistant and {% endgeneration %} after its "
    f"end of turn: {KEY}=<file.jinja>"
)
SYSTEM = "You answer for a shop of lamps."
# All different from each other and from what templates write, so that each is found again where it stands.
_WORDS = (
    "{kind} about order {number}",
    "Größe {number}: 你好, naïve café 👩‍👩‍👧 — {kind}",
    "{{{{ {kind} }}}} {{% if {number} %}} <b>1 &lt; 2</b> ### User: <|im_end| [/INST | \\n\n\n- {kind} {number}",
)
_THOUGHT = "<think>\nlook it up: {kind}\n</think>\n\n{kind} thought over {number}"

Turns = Sequence[Mapping[str, Any]]


def conversation(words: str, rounds: int, system: bool = False) -> list[dict[str, str]]:
    """Some rounds of question and answer."""
    turns = [{"role": "system", "content": SYSTEM}] if system else []
    for number, (role, kind) in product(range(1, rounds + 1), (("user", "Question"), ("assistant", "Answer"))):
        turns.append({"role": role, "content": words.format(kind=kind, number=number)})
    return turns


def probes(system: bool = False) -> list[list[dict[str, str]]]:
    """Conversations of one to three rounds: plain, in many scripts, and with what looks like markup."""
    return [conversation(words, rounds, system) for words, rounds in product(_WORDS, (1, 2, 3))]


def thoughts() -> list[list[dict[str, str]]]:
    """Conversations in which the assistant thinks aloud, which some templates strip from earlier turns."""
    return [conversation(_THOUGHT, rounds) for rounds in (1, 2, 3)]


@dataclass(frozen=True)
class Proof:
    """What was proved of a template.

    Attributes:
        answers: Finds what is learned.
        no_system: Why conversations with a system prompt cannot be learned from; None where they can.
    """

    answers: Answers
    no_system: str | None


def prove(rendering: Rendering) -> Proof:
    """Find a method that is right about all trial conversations, markers first.

    Raises:
        UserError: None is.
    """
    try:
        control = frozenset(rendering.control_tokens(rendering.text(probes()[0])))
        rendering = replace(rendering, control=control)
        closing = end_of_turn(rendering, control)
    except Unsupervisable as error:
        raise _refused(rendering, str(error)) from error
    proofs, complaints = [], []
    for method in methods(rendering):
        answers = Answers(rendering, method, closing)
        if complaint := _complaint(answers):
            complaints.append(f"by {method.value}, {complaint}")
        else:
            proofs.append(Proof(answers, _complaint(answers, system=True)))
    if not proofs:
        raise _refused(rendering, "; ".join(complaints))
    return next((proof for proof in proofs if not proof.no_system), proofs[0])


def methods(rendering: Rendering) -> list[Method]:
    """Those ways that a template may be right with, in the order to try them."""
    marked = [Method.markers] if rendering.has_markers else []
    return [*marked, Method.prefixes, *([Method.last_prefix] if switched_off(rendering.template) else [])]


def _refused(rendering: Rendering, reason: str) -> UserError:
    return UserError(
        f"No answer can safely be supervised with {rendering.name}: {reason}",
        code="template.unsupervisable",
        where=KEY,
        fix=FIX,
    )


def end_of_turn(rendering: Rendering, control: frozenset[str]) -> str:
    """The one control token that follows every answer of the trial conversations, after white space at most.

    Raises:
        Unsupervisable: There is none, or not always the same one.
    """
    found = set()
    for turns in probes():
        text = rendering.text(turns)
        for turn, (_, end) in zip(turns, _in_order(text, turns), strict=True):
            if turn["role"] == "assistant":
                rest = text[end:].lstrip()
                found.add(max((token for token in control if rest.startswith(token)), key=len, default=""))
    if len(found) == 1 and (token := found.pop()):
        return token
    after = ", ".join(sorted(token or "plain text or nothing" for token in found))
    raise Unsupervisable(f"no control token ends every answer ({after or 'nothing'} follows), so none is supervised")


def _in_order(text: str, turns: Turns) -> Iterator[tuple[int, int]]:
    """Where each turn stands in a rendered text."""
    position = 0
    for number, turn in enumerate(turns, 1):
        start = text.find(turn["content"], position)
        if start < 0:
            raise Unsupervisable(
                f"the {turn['role']}'s turn {number} of {len(turns)} is left out, changed or moved by the template"
            )
        position = start + len(turn["content"])
        yield start, position


def _complaint(answers: Answers, system: bool = False) -> str | None:
    """Why a method is wrong about a trial conversation; None where it is right about all."""
    try:
        for turns in probes(system):
            _check_text(answers, turns)
            check_tokens(answers, turns)
        if not system:
            for turns in thoughts():
                if not (answers.thinks_never and _is_refused(answers, turns)):
                    check_tokens(answers, turns)
    except Unsupervisable as error:
        return str(error)
    return None


def _is_refused(answers: Answers, turns: Turns) -> bool:
    """Whether a conversation would be rejected, so that nothing wrong is learned of it."""
    try:
        answers.supervise(turns)
    except Unsupervisable:
        return True
    return False


def _check_text(answers: Answers, turns: Turns) -> None:
    """All that is said is written, in its order, and each answer's span holds what the assistant says there.

    Where thinking is switched off, what stands before each is its prompt too: templates write an empty thought there.
    """
    text, spans = answers.spans(turns)
    check_prompts(answers, turns, text, spans)
    stands = list(_in_order(text, turns))
    for position, (start, end) in spans.items():
        if not start <= stands[position][0] <= stands[position][1] <= end:
            raise Unsupervisable(f"what the assistant says in turn {position + 1} is not what would be supervised")


def check_prompts(answers: Answers, turns: Turns, text: str, spans: Mapping[int, Span]) -> None:
    """Where thinking is switched off, what stands before each answer is its prompt.

    Raises:
        Unsupervisable: It is not.
    """
    for position, (start, _) in spans.items() if answers.thinks_never else ():
        if text[:start] != answers.rendering.text(turns[:position], prompt=True):
            raise Unsupervisable(f"what stands before turn {position + 1} is not its prompt")


def check_tokens(answers: Answers, turns: Turns) -> None:
    """The tokens are those of `apply_chat_template`, and those before the last answer are those of its prompt.

    Raises:
        Unsupervisable: They are not.
    """
    rendering = answers.rendering
    text, spans = answers.spans(turns)
    rows = answers.supervise(turns)
    with limited():  # it was rendered before; a template may know the time
        apply = rendering.tokenizer.apply_chat_template
        theirs = apply(bare(turns), tools=tools_of(turns), chat_template=rendering.template, return_dict=False)
    if not np.array_equal(rows.ids, theirs):
        raise Unsupervisable("the tokenizer encodes the conversation differently than its backend")
    bos = rendering.tokenizer.bos_token_id
    if bos is not None and (rows.ids[:2] == bos).sum() == 2:
        raise Unsupervisable("the beginning-of-text token occurs twice")
    closing = rendering.id_of(answers.end_of_turn)
    if (rows.ids[rows.supervised] == closing).sum() != len(spans):
        raise Unsupervisable(f"not every end of turn {answers.end_of_turn} would be supervised")
    header = rendering.text(turns[:-1], prompt=True)
    if not text.startswith(header) or spans[len(turns) - 1][0] != len(header):
        raise Unsupervisable("what would be supervised does not begin where a prompt ends")
    before = rendering.encode(header).ids
    if not np.array_equal(rows.ids[: len(before)], before) or not rows.supervised[len(before)]:
        raise Unsupervisable("the tokens of a prompt are not those before the answer")
