"""Conversations as training rows of bounded length, and a check of what is learned of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from rich.text import Text

from tunebook.data.personal import masked
from tunebook.errors import UserError
from tunebook.families.text_generation.data.answers import Supervised
from tunebook.families.text_generation.data.rendering import Conversation, Unsupervisable, plain, unsupervised
from tunebook.families.text_generation.data.template import ChatTemplate
from tunebook.families.text_generation.options import Overlength
from tunebook.terminal import drawn

SUPERVISED = "green"
CONTROL = "reverse"
BESIDE_CONTEXT = "its question and its context"
"""Part of the reason for an answer that does not fit into a row because of its context."""


@dataclass(frozen=True)
class Fitted:
    """The training rows of one conversation.

    Attributes:
        rows: Each ends with a whole answer of the assistant.
        rejected: Why the conversation, or an answer of it, is in no row.
        tokens: Length of the whole conversation; 0 where it could not be encoded.
    """

    rows: tuple[Supervised, ...] = ()
    rejected: tuple[str, ...] = ()
    tokens: int = 0

    @property
    def split(self) -> bool:
        """Whether the conversation became several rows."""
        return len(self.rows) > 1


def fit(
    conversation: Conversation,
    template: ChatTemplate,
    max_length: int,
    policy: Overlength = Overlength.split_turns,
    where: str | None = None,
) -> Fitted:
    """Make training rows of a conversation, none over ``max_length`` tokens.

    Turns after the assistant's last supervised one are left out, since nothing of them is learned. ``split_turns``
    makes a first row of the longest beginning that fits, and then one row for each later answer, with the system prompt
    and as many turns before it as fit: what the model sees of a long conversation when it generates. Every answer is
    learned in exactly one row (in one of its own where the template wants that). One that is over the length with the
    system prompt and its question alone is rejected.

    Args:
        conversation: Turns with a role and a content.
        template: Encodes it.
        max_length: Tokens of a row, at most.
        policy: What happens to a longer conversation.
        where: The conversation's file and line, for the error.

    Raises:
        UserError: The conversation is too long and the policy is ``error``.
    """
    turns = plain(conversation)
    context = unsupervised(conversation)
    answers = [
        position for position, turn in enumerate(turns) if turn["role"] == "assistant" and position not in context
    ]
    if not answers:
        return Fitted(rejected=("the assistant says nothing",))
    turns = turns[: answers[-1] + 1]
    try:
        whole = template.supervise(turns, context=context)
        if len(whole) <= max_length and not template.learns_apart(turns):
            return Fitted((whole,), tokens=len(whole))
        reason = f"has {len(whole)} tokens, over data.max_length={max_length}"
        if policy is Overlength.error and len(whole) > max_length:
            raise UserError(
                f"A conversation {reason}.",
                code="data.too-long",
                where=where,
                fix="data.overlength=split_turns splits it into several rows, data.overlength=reject drops it, "
                "data.max_length=... allows more",
            )
        if policy is Overlength.reject and len(whole) > max_length:
            return Fitted(rejected=(reason,), tokens=len(whole))
        rows, rejected = _split(turns, answers, context, template, max_length)
    except Unsupervisable as error:
        return Fitted(rejected=(str(error),))
    return Fitted(tuple(rows), tuple(rejected), len(whole))


def _split(
    turns: Sequence[dict[str, Any]],
    answers: Sequence[int],
    context: Collection[int],
    template: ChatTemplate,
    max_length: int,
) -> tuple[list[Supervised], list[str]]:
    over = 0  # the first answer that has no place in the row of those before it
    if not template.learns_apart(turns):
        over = bisect_left(answers, True, key=lambda answer: len(template.supervise(turns[: answer + 1])) > max_length)
    rows = [template.supervise(turns[: answers[over - 1] + 1], context=context)] if over else []
    rejected = []
    system = [turn for turn in turns[:1] if turn["role"] == "system"]
    begin = len(system)
    for answer in answers[over:]:
        # The window only moves on: what was too long for an earlier answer is too long for this one.
        questions = [i for i in range(begin, answer) if turns[i]["role"] == "user"] or [begin]
        for begin in questions:
            shortened = [*system, *turns[begin : answer + 1]]
            row = template.supervise(shortened, first=len(shortened) - 1)
            if len(row) <= max_length:
                rows.append(row)
                break
        else:
            alone = BESIDE_CONTEXT if "context" in turns[0] else "its question alone"
            reason = f"with {alone} it has {len(row)} tokens, over data.max_length={max_length}"
            rejected.append(f"turn {answer + 1}: {reason}")
    return rows, rejected


@dataclass(frozen=True)
class SupervisionAudit:
    """What is learned of training rows, counted on the rows themselves.

    Attributes:
        rows: Number of rows.
        tokens: Tokens of all rows.
        supervised: Those that the loss is taken on.
        unsupervised: Rows without any.
        over: Rows over the length.
        cut: Rows that would lose supervised tokens if they were cut at the length.
        answers: Runs of supervised tokens.
        unended: Runs that do not end with the end of turn.
    """

    rows: int
    tokens: int
    supervised: int
    unsupervised: int
    over: int
    cut: int
    answers: int
    unended: int

    def facts(self) -> dict[str, str]:
        """What a report says of it."""
        share = f" ({self.supervised / self.tokens:.1%})" if self.tokens else ""
        return {
            "supervised tokens": f"{self.supervised:,} of {self.tokens:,}{share} in {self.rows:,} rows",
            "rows without loss": f"{self.unsupervised:,}",
            "rows over the length": f"{self.over:,}, of which {self.cut:,} would lose part of an answer if truncated",
            "end of turn": f"supervised in {self.answers - self.unended:,} of {self.answers:,} answers",
        }


def audit(rows: Iterable[Supervised], max_length: int, end_of_turn_ids: Collection[int]) -> SupervisionAudit:
    """Count what is supervised, from ids and marks alone.

    Args:
        rows: Training rows.
        max_length: Tokens of a row, at most.
        end_of_turn_ids: Tokens that close an answer.
    """
    counts = np.zeros(8, dtype=np.int64)
    for row in rows:
        last = np.flatnonzero(row.supervised & ~np.append(row.supervised[1:], False))  # the last token of each run
        unended = int((~np.isin(row.ids[last], list(end_of_turn_ids))).sum())
        supervised = int(row.supervised.sum())
        lost = bool(row.supervised[max_length:].any())
        counts += [1, len(row), supervised, supervised == 0, len(row) > max_length, lost, len(last), unended]
    return SupervisionAudit(*counts.tolist())


def coloured(ids: Sequence[int] | np.ndarray, supervised: Sequence[bool] | np.ndarray, tokenizer: Any) -> Text:
    """A row as text for the terminal: supervised tokens in green, control tokens in reverse, personal data masked.

    Args:
        ids: ``[tokens]``.
        supervised: Which of them are supervised, ``[tokens]``.
        tokenizer: The transformers tokenizer they are of.
    """
    tokens = [int(id_) for id_ in ids]
    control = {id_ for id_, token in tokenizer.added_tokens_decoder.items() if token.content.strip()}
    text = Text()
    start = 0
    for (marked, steers), run in groupby(zip(tokens, supervised, strict=True), lambda t: (bool(t[1]), t[0] in control)):
        stop = start + len(list(run))
        # Decoded behind the token before it, or a tokenizer may drop the white space a run begins with.
        before = _decode(tokens[max(start - 1, 0) : start], tokenizer)
        piece = _decode(tokens[max(start - 1, 0) : stop], tokenizer)[len(before) :]
        text.append(drawn(masked(piece)), style=" ".join([SUPERVISED] * marked + [CONTROL] * steers))
        start = stop
    return text


def _decode(ids: list[int], tokenizer: Any) -> str:
    decoded: str = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return decoded
