"""The conversations of rows for the data gate: checked turn by turn, compared as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal

import pyarrow as pa

from tunebook.data.content import Layout, Passages
from tunebook.data.duplicates import Duplicates, find_duplicates
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import FILE, LINE, Rows, RowWriter, row_schema
from tunebook.families.text_generation.data.beside import BESIDE, refusal
from tunebook.families.text_generation.data.check import check
from tunebook.families.text_generation.data.context import CONTEXT, parse_context
from tunebook.families.text_generation.data.context import HOW as HOW_CONTEXT
from tunebook.families.text_generation.data.facts import FACTS, HOW, parse_facts
from tunebook.families.text_generation.data.formats import SHAPES
from tunebook.families.text_generation.data.message import (
    CONVERSATION,
    Context,
    Message,
    UnusableConversation,
    from_text,
    grounded,
    passages,
    to_plain,
    to_text,
)
from tunebook.families.text_generation.data.parse import parse
from tunebook.families.text_generation.data.tools import NO_TOOLS, TOOLS
from tunebook.families.text_generation.options import ContextPlace, ConversationFormat

TEXT = "text"
"""Role of a checked conversation as people read it (`to_plain`)."""


class ConversationContent:
    """The conversations of rows.

    Args:
        format: The form that the rows hold them in; None: detected from their roles.
        column: The column that messages name; "" for the row as a whole.
        answered: Whether they end with the assistant's answer; else they wait for it.
        place: Where the context of a row stands in its prompt.
    """

    what = "conversation"
    adds = (CONVERSATION, TEXT)
    ungrouped = ""
    line = "prompt"
    passages: Mapping[str, Passages] = {CONVERSATION: passages, FACTS: lambda facts: [("facts", facts)]}

    def __init__(
        self,
        format: ConversationFormat | None = None,
        column: str = "",
        answered: bool = True,
        place: ContextPlace = ContextPlace.system,
    ) -> None:
        self.format = format
        self.column = column
        self.answered = answered
        self.place: Literal["system", "user"] = "user" if place is ContextPlace.user else "system"

    def inspect(self, rows: Rows, rejects: RejectLog) -> Rows:
        """Read and check every conversation; bad ones go to ``rejects``.

        The columns of the form give way to the roles `CONVERSATION` and `TEXT`; other roles stay.
        """
        shape = SHAPES[self._format_of(rows)]
        sources = [name for name in (*shape.required, *shape.optional) if name in rows.roles]
        others = [r for r in rows.roles if r not in sources and r != CONTEXT and not r.startswith(BESIDE)]
        schema = row_schema([*others, CONVERSATION, TEXT])
        writer = RowWriter(schema, rows.split)
        listed = TOOLS in sources and not set(rows.column(TOOLS).unique().to_pylist()) <= NO_TOOLS
        for batch in rows.table.to_batches():
            usable, conversations, texts = self._checked(batch, self._format_of(rows), sources, rejects, listed)
            if usable:
                good = batch.take(pa.array(usable, pa.int64()))
                columns = [
                    *map(good.column, others),
                    pa.array(conversations, pa.string()),
                    pa.array(texts, pa.string()),
                ]
                writer.add_batch(pa.record_batch([*columns, good.column(FILE), good.column(LINE)], schema=schema))
        return writer.finish()

    def alike(self, layout: Layout, threshold: float) -> Duplicates:
        """Which conversations of all splits are the same, exactly or nearly.

        All turns of a conversation count, so that a greeting in common joins none. Of the system turn counts only
        whether it is the same: it may be long and shared by all, and would make any two of them alike.

        Args:
            layout: The splits.
            threshold: Jaccard similarity of their sets of word 3-grams.
        """
        return alike_turns(layout, threshold)

    def _format_of(self, rows: Rows) -> ConversationFormat:
        """The form as set, or the one whose columns the rows have."""
        needed = ((form, shape.needed(self.answered)) for form, shape in SHAPES.items())
        return self.format or next(form for form, names in needed if set(names) <= set(rows.roles))

    def _checked(
        self,
        batch: pa.RecordBatch,
        format: ConversationFormat,
        sources: Sequence[str],
        rejects: RejectLog,
        listed: bool,
    ) -> tuple[list[int], list[str], list[str]]:
        """The positions of good rows, and their conversations as JSON and as plain text.

        Where any row lists tools (``listed``), calls of others are not written as text.
        """
        usable, conversations, texts = [], [], []
        values = [batch.column(role).to_pylist() for role in sources]
        besides = {
            role: batch.column(role).to_pylist()
            for role in batch.schema.names
            if role.startswith(BESIDE) and batch.column(role).null_count < len(batch)
        }
        contexts = batch.column(CONTEXT).to_pylist() if CONTEXT in batch.schema.names else None
        facts = batch.column(FACTS).to_pylist() if FACTS in batch.schema.names else None
        for i, row in enumerate(zip(*values, strict=True)):
            try:
                if refused := besides and refusal({role: found[i] for role, found in besides.items()}):
                    raise UnusableConversation(refused)
                messages = parse(dict(zip(sources, row, strict=True)), format, rejects.unread, listed)
                if not self.answered and not messages[-1].text.strip() and messages[-1].role == "assistant":
                    del messages[-1]  # the empty place for the answer
                check(messages, self.answered)
            except UnusableConversation as reason:
                file, line = batch.column(FILE)[i].as_py(), batch.column(LINE)[i].as_py()
                rejects.add(file, line, self.column, f"is not a usable conversation: {reason}", row[0] or "")
                continue
            try:
                parse_facts(facts[i] or "" if facts else "")
            except ValueError as reason:
                file, line = batch.column(FILE)[i].as_py(), batch.column(LINE)[i].as_py()
                rejects.add(file, line, "", f"cannot be used: {reason}; {HOW}", facts[i] if facts else "")
                continue
            try:
                documents = parse_context(contexts[i] or "" if contexts else "")
            except ValueError as reason:
                file, line = batch.column(FILE)[i].as_py(), batch.column(LINE)[i].as_py()
                rejects.add(file, line, "", f"cannot be used: {reason}; {HOW_CONTEXT}", contexts[i] if contexts else "")
                continue
            if documents:
                messages = grounded(messages, Context(documents, self.place))
            usable.append(i)
            conversations.append(to_text(messages))
            texts.append(to_plain(messages))
        return usable, conversations, texts


def with_short_system(messages: list[Message]) -> list[Message]:
    """The conversation with one word in place of its system turn, equal for equal ones."""
    if messages[0].role != "system":
        return messages
    digest = hashlib.blake2b(messages[0].content.encode("utf-8"), digest_size=16).hexdigest()
    return [Message("system", digest), *messages[1:]]


def alike_turns(layout: Layout, threshold: float, turns: slice = slice(None)) -> Duplicates:
    """Which conversations of all splits are the same in some of their turns, exactly or nearly.

    Args:
        layout: The splits.
        threshold: Jaccard similarity of their sets of word 3-grams.
        turns: Those that are compared.
    """
    # In a scratch file, as the rows are: in memory is only what is looked at.
    schema = pa.schema([pa.field(TEXT, pa.string())])
    writer = RowWriter(schema, "all")
    for chunk in layout.column(CONVERSATION).chunks:
        texts = [to_plain(with_short_system(from_text(text)[turns])) for text in chunk.to_pylist()]
        writer.add_batch(pa.record_batch([pa.array(texts, pa.string())], schema=schema))
    return find_duplicates(writer.finish().column(TEXT), threshold)
