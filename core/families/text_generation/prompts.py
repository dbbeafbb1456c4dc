"""The prompts of held-out rows, and their reference answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunebook.data.rows import Rows
from tunebook.errors import UserError
from tunebook.families.text_generation.data.facts import FACTS, HOW, parse_facts
from tunebook.families.text_generation.data.message import CONVERSATION, Message, ToolCall, from_text
from tunebook.families.text_generation.metrics.answers import GeneratedAnswers
from tunebook.families.text_generation.metrics.facts import states


@dataclass(frozen=True)
class Prompts:
    """Turns that a model is to write, each with what came before and what was said in truth.

    Attributes:
        histories: The turns before each.
        references: Good answers to each: one or several.
        rows: The row that each is of, int64 ``[questions]``.
        turns: The number of the turn in its conversation, from 1; None where each row asks once.
        files: Source file of each.
        lines: Line in that file of each.
        groups: What is resampled together for intervals: conversations, or the groups of the data.
        facts: What each answer has to state; None where the data names no facts.
        unclaimed: Facts of the rows that no reference states, and which are not scored.
        calls: The tool calls of each reference, none of one that is a text; None where no row offers tools.
    """

    histories: list[list[Message]]
    references: list[list[str]]
    rows: np.ndarray
    turns: list[int] | None
    files: list[str]
    lines: list[int]
    groups: np.ndarray
    facts: list[list[str]] | None = None
    unclaimed: int = 0
    calls: list[tuple[ToolCall, ...]] | None = None

    def __len__(self) -> int:
        return len(self.histories)

    def take(self, wanted: Sequence[int]) -> Prompts:
        """Those at these positions."""
        return Prompts(
            histories=[self.histories[i] for i in wanted],
            references=[self.references[i] for i in wanted],
            rows=self.rows[list(wanted)],
            turns=None if self.turns is None else [self.turns[i] for i in wanted],
            files=[self.files[i] for i in wanted],
            lines=[self.lines[i] for i in wanted],
            groups=self.groups[list(wanted)],
            facts=None if self.facts is None else [self.facts[i] for i in wanted],
            unclaimed=self.unclaimed,
            calls=None if self.calls is None else [self.calls[i] for i in wanted],
        )

    @property
    def offered(self) -> list[bool]:
        """Whether each has tools to call."""
        return [bool(history[0].tools) for history in self.histories]

    @property
    def sources(self) -> list[str | None]:
        """All that each answer may draw on: its context and what was said before; None of one without a context.

        Turns whose reference is a tool call have none either.
        """
        calls = self.calls or [()] * len(self)
        return [None if called else _source(history) for history, called in zip(self.histories, calls, strict=True)]

    @property
    def texts(self) -> NDArray[np.int64]:
        """Positions of those whose reference is a text, not a tool call."""
        return np.flatnonzero([not calls for calls in self.calls or [()] * len(self)])

    def answered(self, outputs: list[str]) -> GeneratedAnswers:
        """What a model wrote."""
        return GeneratedAnswers(
            prompts=[history[-1].text for history in self.histories],
            references=self.references,
            outputs=outputs,
            files=self.files,
            lines=self.lines,
            groups=self.groups,
            facts=self.facts,
        )


def assistant_turns(rows: Rows, wanted: int | None) -> Prompts:
    """Every supervised turn of the assistant, of whole conversations drawn until there are as many as wanted.

    The draw is one for all runs on these rows, so that runs with different seeds are compared on the same turns. A
    required fact is scored at the first turn whose reference states it.
    """
    conversations = [from_text(text) for text in rows.texts(CONVERSATION)]
    chosen = drawn([_answers(c) for c in conversations], wanted)
    required = rows.texts(FACTS) if FACTS in rows.roles else None
    files, lines = rows.texts("file"), rows.lines
    groups = np.array(rows.texts("group")) if "group" in rows.roles else np.arange(len(rows)).astype(str)
    found: list[tuple[int, int]] = []
    facts: list[list[str]] = []
    unclaimed = 0
    for row in chosen:
        turns = [i for i, message in enumerate(conversations[row]) if _is_answer(message)]
        left = read_facts(required[row], rows.where(row)) if required else []
        for turn in turns:
            answer = conversations[row][turn]
            here = [fact for fact in left if not answer.calls and states(answer.content, fact)]
            left = [fact for fact in left if fact not in here]
            found.append((row, turn))
            facts.append(here)
        unclaimed += len(left)
    return Prompts(
        histories=[conversations[row][:turn] for row, turn in found],
        references=[[conversations[row][turn].text] for row, turn in found],
        rows=np.array([row for row, _ in found], dtype=np.int64),
        turns=[turn + 1 for _, turn in found],
        files=[files[row] for row, _ in found],
        lines=[lines[row] for row, _ in found],
        groups=groups[[row for row, _ in found]],
        facts=facts if required else None,
        unclaimed=unclaimed,
        calls=[conversations[row][turn].calls for row, turn in found] if _offering(conversations) else None,
    )


def _source(history: Sequence[Message]) -> str | None:
    context = history[0].context
    return None if context is None else "\n".join([*context.documents, *(turn.text for turn in history)])


def _offering(conversations: Sequence[Sequence[Message]]) -> bool:
    return any(conversation[0].tools for conversation in conversations)


def _answers(conversation: Sequence[Message]) -> int:
    return sum(map(_is_answer, conversation))


def _is_answer(message: Message) -> bool:
    return message.role == "assistant" and message.supervised


def drawn(answers: Sequence[int], wanted: int | None) -> list[int]:
    """Conversations, in their order, that have as many answers together as wanted."""
    if wanted is None or sum(answers) <= wanted:
        return list(range(len(answers)))
    order = np.random.default_rng(len(answers)).permutation(len(answers))
    enough = int(np.searchsorted(np.cumsum(np.array(answers)[order]), wanted)) + 1
    return sorted(order[:enough].tolist())


def read_facts(value: str, where: str) -> list[str]:
    """The facts of a row; the gate has refused those that cannot be read, where a recipe's rows are conversations.

    Raises:
        UserError: They are no list of texts.
    """
    try:
        return parse_facts(value)
    except ValueError as error:
        raise UserError(f"{error}.", code="data.bad-facts", where=where, fix=HOW) from error


def check_tokenize(name: str) -> None:
    """Refuse a tokenizer that sacreBLEU does not have, or not without a package or a file that is missing.

    Raises:
        UserError: It cannot be used here.
    """
    from sacrebleu.metrics.bleu import BLEU

    fix = "recipe.bleu_tokenizer=13a, or intl, zh, char, none"
    if name not in BLEU.TOKENIZERS:
        raise UserError(
            f"sacreBLEU has no tokenizer '{name}'.",
            code="config.unknown-choice",
            where="recipe.bleu_tokenizer",
            fix=fix,
        )
    try:
        BLEU(tokenize=name)
    except Exception as error:  # a missing package, or a model that cannot be downloaded
        reason = " ".join(str(error).split())
        raise UserError(
            f"sacreBLEU's tokenizer '{name}' does not work here: {reason}",
            code="package.missing",
            where="recipe.bleu_tokenizer",
            fix=fix,
        ) from error
