"""The preferences of rows for the data gate: read and checked answer by answer, compared by their prompts."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa

from tunebook.config.schema import Objective
from tunebook.data.content import Layout, Passages
from tunebook.data.duplicates import Duplicates
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import FILE, LINE, Rows, RowWriter, row_schema
from tunebook.data.unread import Unread
from tunebook.errors import UserError
from tunebook.families.text_generation.data.beside import BESIDE, refusal
from tunebook.families.text_generation.data.check import check
from tunebook.families.text_generation.data.content import TEXT, alike_turns
from tunebook.families.text_generation.data.message import (
    CONVERSATION,
    Message,
    UnusableConversation,
    passages,
    to_plain,
    to_text,
)
from tunebook.families.text_generation.data.parse import parse
from tunebook.families.text_generation.options import ConversationFormat
from tunebook.families.text_generation.preferences.columns import ANSWER, CHOSEN, COLUMNS, GOOD, PROMPT, REJECTED

OTHER = "rejected_conversation"
"""Role of the prompt with the rejected answer, as `to_text` writes it; `CONVERSATION` has the chosen one."""
THUMB = "thumb"
"""Role of what was thought of the answer in `CONVERSATION`: "true" or "false"."""
_THUMBS = {"true": "true", "false": "false", "1": "true", "0": "false"}
_NOTHING = {"", "null", "[]", "{}"}


class _Unusable(Exception):
    """A row that cannot be used: the column at fault, and the reason."""


class PreferenceContent:
    """The preferences of rows.

    Args:
        objective: Which kind they are of.
    """

    passages: Mapping[str, Passages] = {CONVERSATION: passages, OTHER: passages}
    what = "prompt"
    ungrouped = ""
    line = PROMPT

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.beside = THUMB if objective is Objective.kto else OTHER
        self.adds = (CONVERSATION, TEXT, self.beside)
        self.stratum = THUMB if objective is Objective.kto else ""

    def inspect(self, rows: Rows, rejects: RejectLog) -> Rows:
        """Read and check every row; bad ones go to ``rejects``, among them those that contradict each other.

        The columns of a preference give way to the roles `CONVERSATION`, `TEXT` and `OTHER` or `THUMB`.

        Raises:
            UserError: All answers have the same thumb.
        """
        sources = COLUMNS[self.objective]
        others = [role for role in rows.roles if role not in sources and not role.startswith(BESIDE)]
        schema = row_schema([*others, *self.adds])
        writer = RowWriter(schema, rows.split)
        at_odds = self._contradictions(rows)
        thumbs: set[str] = set()
        for batch in rows.table.to_batches():
            columns = {role: batch.column(role).to_pylist() for role in batch.schema.names}
            usable: list[int] = []
            made: list[tuple[str, str, str]] = []
            for i in range(len(batch)):
                row = {role: values[i] for role, values in columns.items() if role not in (FILE, LINE)}
                try:
                    found = self._checked(row, rejects.unread)
                    if (against := at_odds.get(_digest(self._said(found)))) is not None:
                        raise _Unusable("", f"contradicts another: {against}")
                except _Unusable as reason:
                    field, why = reason.args
                    rejects.add(columns[FILE][i], columns[LINE][i], field, why, row.get(field or PROMPT) or "")
                    continue
                usable.append(i)
                made.append(found)
                thumbs.add(found[2])
            if usable:
                good = batch.take(pa.array(usable, pa.int64()))
                texts = [pa.array(column, pa.string()) for column in zip(*made, strict=True)]
                parts = [*map(good.column, others), *texts, good.column(FILE), good.column(LINE)]
                writer.add_batch(pa.record_batch(parts, schema=schema))
        if self.objective is Objective.kto and len(thumbs) == 1:
            rejects.write()
            rejects.check()
            raise one_sided(thumbs.pop() == "true", rows)
        return writer.finish()

    def alike(self, layout: Layout, threshold: float) -> Duplicates:
        """Which prompts of all splits are the same, exactly or nearly: all answers to one are on one side of a split.

        Args:
            layout: The splits.
            threshold: Jaccard similarity of their sets of word 3-grams.
        """
        return alike_turns(layout, threshold, slice(-1))

    def _checked(self, row: Mapping[str, str | None], unread: Unread) -> tuple[str, str, str]:
        """The conversation with the better (or only) answer as JSON and as text, and what stands beside it."""
        if refused := refusal({role: value for role, value in row.items() if role.startswith(BESIDE)}):
            raise _Unusable("", f"cannot be used: {refused}")
        prompt = _prompt(row.get(PROMPT), unread)
        if self.objective is Objective.kto:
            good = (row.get(GOOD) or "").strip()
            thumb = _THUMBS.get(good.casefold())
            if thumb is None:
                raise _Unusable(GOOD, f"is {good[:40]!r}, neither true nor false")
            conversation = [*prompt, _answer(prompt, row, ANSWER, unread)]
            return to_text(conversation), to_plain(conversation), thumb
        chosen, rejected = (_answer(prompt, row, name, unread) for name in (CHOSEN, REJECTED))
        if chosen.content.strip() == rejected.content.strip():
            raise _Unusable(REJECTED, "equals the chosen answer: nothing can be preferred")
        conversation = [*prompt, chosen]
        return to_text(conversation), to_plain(conversation), to_text([*prompt, rejected])

    def _contradictions(self, rows: Rows) -> dict[bytes, str]:
        """What several rows say the opposite of each other on, by digest, and where they stand."""
        said: dict[bytes, dict[str, str]] = defaultdict(dict)
        roles = COLUMNS[self.objective]
        number = 0
        for batch in rows.table.to_batches():
            for values in zip(*(batch.column(role).to_pylist() for role in roles), strict=True):
                try:
                    found = self._checked(dict(zip(roles, values, strict=True)), Unread())
                    what = found[2] if self.objective is Objective.kto else found[0]
                    said[_digest(self._said(found))].setdefault(what, rows.where(number))
                except _Unusable:
                    pass
                number += 1
        word = "is good and bad" if self.objective is Objective.kto else "was chosen and rejected"
        return {
            key: f"the same answer to the same prompt {word} ({' and '.join(places.values())})"
            for key, places in said.items()
            if len(places) > 1
        }

    def _said(self, found: tuple[str, str, str]) -> str:
        """What two rows must not say the opposite of: of a pair its answers, whichever was chosen."""
        return found[0] if self.objective is Objective.kto else "\n".join(sorted((found[0], found[2])))


def one_sided(good: bool, rows: Rows) -> UserError:
    """The error for rows that were all thought the same of."""
    what = "good" if good else "bad"
    files = sorted({str(name) for name in rows.texts(FILE)})
    return UserError(
        f"All {len(rows):,} {rows.split} answers are {what}: KTO learns from good and bad ones.",
        code="preferences.one-sided",
        where=", ".join(files),
        fix="add answers of the other kind"
        + (", or train on them as they are: objective=sft" if good else ", or leave objective=kto out"),
    )


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _prompt(value: str | None, unread: Unread) -> list[Message]:
    """The turns before the answer; answers among them are context alone."""
    row = {"prompt": value or "", "completion": "-"}
    try:
        prompt = parse(row, ConversationFormat.prompt_completion, unread)[:-1]
        check(prompt, answered=False)
    except UnusableConversation as reason:
        raise _Unusable(PROMPT, f"is not a usable prompt: {reason}") from None
    return [replace(turn, supervised=False) if turn.role == "assistant" else turn for turn in prompt]


def _answer(prompt: list[Message], row: Mapping[str, str | None], name: str, unread: Unread) -> Message:
    """The one turn that answers a prompt: a text, a message of the assistant, or a list of one."""
    value = (row.get(name) or "").strip()
    if value in _NOTHING:
        raise _Unusable(name, "is empty: an answer needs text")
    if value.startswith("{") and _names_role(value):
        value = f"[{value}]"
    try:
        turns = parse({"prompt": "-", "completion": value}, ConversationFormat.prompt_completion, unread)[1:]
        if len(turns) != 1:
            raise UnusableConversation(f"it has {len(turns)} turns, and an answer is one of the assistant")
        if not turns[0].content.strip():
            raise UnusableConversation("it is empty: an answer needs text")
        check([*prompt, *turns])
    except UnusableConversation as reason:
        raise _Unusable(name, f"is not a usable answer: {reason}") from None
    return turns[0]


def _names_role(value: str) -> bool:
    try:
        item = json.loads(unicodedata.normalize("NFC", value))
    except (ValueError, RecursionError):
        return False
    return isinstance(item, dict) and ("role" in item or "from" in item)
