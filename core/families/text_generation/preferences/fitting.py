"""A preference as two token rows of bounded length, with the same turns before both answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tunebook.config.schema import Objective
from tunebook.data.rows import Rows
from tunebook.errors import UserError
from tunebook.families.text_generation.data.answers import Supervised
from tunebook.families.text_generation.data.message import CONVERSATION, Message, from_text
from tunebook.families.text_generation.data.rendering import Unsupervisable
from tunebook.families.text_generation.data.supervision import Fitted
from tunebook.families.text_generation.data.template import ChatTemplate
from tunebook.families.text_generation.options import Overlength
from tunebook.families.text_generation.preferences.content import OTHER

TRIED = 4
"""Answers to other prompts that are tried, until one fits behind a prompt."""
_FAR = 1000  # rows that are looked through for another prompt


def preference_conversations(objective: Objective, rows: Rows) -> Iterator[list[list[Message]]]:
    """The conversations of each row, the first with its chosen or only answer.

    The second has the rejected answer (DPO), or the answer to another prompt (KTO), of which there are several to
    choose from: those of the next rows with another prompt, the first row after the last.
    """
    own = rows.column(CONVERSATION)
    if objective is Objective.dpo:
        for chosen, rejected in zip(_texts(rows, CONVERSATION), _texts(rows, OTHER), strict=True):
            yield [from_text(chosen), from_text(rejected)]
        return
    for number, text in enumerate(_texts(rows, CONVERSATION)):
        conversation = from_text(text)
        prompt, found = conversation[:-1], list[Message]()
        for step in range(1, min(len(rows), _FAR)):
            other = from_text(own[(number + step) % len(rows)].as_py())
            if other[:-1] != prompt:
                found.append(other[-1])
            if len(found) == TRIED:
                break
        if not found:  # all rows near it ask the same
            found.append(from_text(own[(number + 1) % len(rows)].as_py())[-1])
        yield [conversation, *([*prompt, answer] for answer in found)]


def fit_preference(
    conversations: list[list[Message]],
    where: str,
    *,
    objective: Objective,
    template: ChatTemplate,
    max_length: int,
    policy: Overlength,
) -> list[Fitted]:
    """Make two token rows: of a pair (DPO) of both conversations; else of the first and of one other that fits.

    Where they are too long, they lose their earliest turns, both of a pair the same ones; no answer is ever cut.

    Args:
        conversations: Turns that end with an answer, the same turns before it in all.
        where: The row's file and line, for the error.
        objective: DPO or KTO.
        template: Encodes them.
        max_length: Tokens of a token row, at most.
        policy: What happens to a longer one: ``split_turns`` drops its earliest turns.

    Returns:
        One entry: two rows, or the reason why there are none.

    Raises:
        UserError: It is too long and the policy is ``error``.
    """
    if objective is Objective.dpo:
        pair = _fit_together(conversations, where, template, max_length, policy)
        if pair.rows and np.array_equal(pair.rows[0].ids, pair.rows[1].ids):
            pair = Fitted(rejected=("both answers are the same tokens",), tokens=pair.tokens)
        return [pair]
    first, *others = conversations
    own = _fit_together([first], where, template, max_length, policy)
    for other in others if own.rows else ():
        mismatched = _fit_together([other], where, template, max_length, Overlength.split_turns)
        if mismatched.rows:
            return [Fitted((*own.rows, *mismatched.rows), tokens=own.tokens)]
    return [own if own.rejected else Fitted(rejected=("no answer to another prompt fits behind its own",))]


def _fit_together(
    several: Sequence[Sequence[Message]], where: str, template: ChatTemplate, max_length: int, policy: Overlength
) -> Fitted:
    """A token row of each, all without the same earliest turns."""
    prompt, whole, tokens = several[0][:-1], 0, 0
    system = [turn for turn in prompt[:1] if turn.role == "system"]
    begins = [0, *(i for i, turn in enumerate(prompt) if turn.role == "user" and i > len(system))]
    for begin in begins:
        turns = [*(system if begin else ()), *prompt[begin:]]
        rows: list[Supervised] = []
        for each in several:
            try:
                rows.append(template.supervise([*turns, each[-1]], first=len(turns)))
            except Unsupervisable as error:
                return Fitted(rejected=(str(error),), tokens=whole)
            if len(rows[-1]) > max_length:
                break
        tokens = max(map(len, rows))
        whole = whole or tokens
        if tokens <= max_length:
            return Fitted(tuple(rows), tokens=whole)
        reason = f"has {tokens} tokens, over data.max_length={max_length}"
        if policy is Overlength.error:
            raise UserError(
                f"A conversation {reason}.",
                code="data.too-long",
                where=where,
                fix="data.overlength=split_turns drops its earliest turns, data.overlength=reject drops it, "
                "data.max_length=... allows more",
            )
        if policy is Overlength.reject:
            return Fitted(rejected=(reason,), tokens=whole)
    reason = f"with its question alone it has {tokens} tokens, over data.max_length={max_length}"
    return Fitted(rejected=(reason,), tokens=whole)


def _texts(rows: Rows, role: str) -> Iterator[str]:
    for chunk in rows.column(role).chunks:
        yield from chunk.to_pylist()
