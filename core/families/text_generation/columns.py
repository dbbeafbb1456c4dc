"""The columns that rows of conversations have, detected from the files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunebook.config.schema import DataConfig
from tunebook.data.columns import Column, group_columns
from tunebook.data.paths import resolve_paths
from tunebook.errors import UserError
from tunebook.families.text_generation.data.beside import beside_columns
from tunebook.families.text_generation.data.context import CONTEXT
from tunebook.families.text_generation.data.facts import FACTS
from tunebook.families.text_generation.data.formats import KEY, detect_format, format_columns
from tunebook.families.text_generation.data.peek import column_names
from tunebook.families.text_generation.options import ConversationFormat
from tunebook.plugins.answers import samples_of
from tunebook.recipe import Recipe


def training_files(data: DataConfig, recipe: Recipe[Any]) -> list[Path]:
    """The files of all splits, or the recipe's samples where none are named."""
    named = {name: getattr(data, name) for name in ("train", "validation", "test")}
    given = {name: value for name, value in named.items() if value is not None}
    if not given:
        return list(samples_of(recipe, data.cache_dir).values())
    return [path for name, value in given.items() for path in resolve_paths(value, f"data.{name}")]


def conversation_columns(
    files: Sequence[Path],
    format: ConversationFormat | None,
    group: str | None,
    facts: str | None,
    delimiter: str | None = None,
    context: str | None = None,
) -> list[Column]:
    """The columns of the conversations' form, with the group, the facts and the context where these are named."""
    found = detect_format(files, format, delimiter=delimiter)
    columns = [*format_columns(found.format, found.present), *beside_columns(KEY, answered=True), *group_columns(group)]
    if facts is not None or all(FACTS in column_names(path, delimiter) for path in files):
        columns.append(Column(FACTS, facts or FACTS, "data.facts", "any", gaps=True))
    if context is not None or all(CONTEXT in column_names(path, delimiter) for path in files):
        columns.append(Column(CONTEXT, context or CONTEXT, "data.context", "any", gaps=True))
    return columns


def prompt_columns(
    files: Sequence[str], column: str | None, delimiter: str | None = None, context: str | None = None
) -> list[Column]:
    """The columns of conversations that wait for an answer; ``context`` is that of the training rows."""
    if column is not None:
        raise UserError(
            "The format of a conversation fixes the name of its column.",
            code="command.no-column",
            where="--text",
            fix="leave --text out; the columns are found by their names: messages, conversations, instruction, prompt",
        )
    if not files:
        return []
    try:
        found = detect_format(resolve_paths(list(files), "files"), answered=False, delimiter=delimiter)
    except UserError as error:
        if not error.code.startswith("conversation."):
            raise
        fix = "name its columns after one format: messages, or conversations, or instruction, or prompt"
        raise error.replace(where=", ".join(files), fix=fix) from error
    documents = [] if context is None else [Column(CONTEXT, context, "", "any", gaps=True, choice="")]
    columns = format_columns(found.format, found.present, answered=False)
    return [*columns, *beside_columns(KEY, answered=False), *documents]
