"""Briefs of rows: their form in files, the prompt of each, and what people wrote from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tunebook.data.rows import Rows
from tunebook.errors import UserError
from tunebook.families.brief_to_text.data.brief import Brief, from_text
from tunebook.families.brief_to_text.data.content import BRIEF
from tunebook.families.brief_to_text.data.forms import BriefForm, Constraints, brief_form
from tunebook.families.brief_to_text.data.merge import merge_references
from tunebook.families.brief_to_text.data.structured import CopyStructure
from tunebook.families.brief_to_text.data.template import PromptTemplate
from tunebook.families.brief_to_text.options import BriefOptions
from tunebook.families.text_generation.data.context import shown
from tunebook.families.text_generation.data.message import Message
from tunebook.families.text_generation.prompts import Prompts, drawn


def form_of(
    options: BriefOptions,
    samples: Sequence[str] | None,
    files: Sequence[Path],
    delimiter: str | None = None,
    structure: CopyStructure | None = None,
) -> BriefForm:
    """How rows hold briefs, from the options or the files themselves.

    Args:
        options: The recipe's own.
        samples: The fields of the sample rows, where these are used.
        files: The files of all splits.
        delimiter: What separates the columns of CSV files (default: a comma).
        structure: What a copy is made of.
    """
    constraints = Constraints(
        options.must_mention, options.must_avoid, options.channel, options.max_characters, options.max_words
    )
    fields, copy = options.fields or samples, options.target_column
    return brief_form(fields, options.brief, copy, constraints, files, delimiter, options.context, structure)


def renamed(form: BriefForm, column: str | None) -> BriefForm:
    """The form with another name of the column that holds briefs whole.

    Raises:
        UserError: Briefs are made up of several columns.
    """
    if column is None:
        return form
    if form.brief is None:
        raise UserError(
            "The model was trained on briefs of several columns, whose names must stay the same.",
            code="command.no-column",
            where="--text",
            fix=f"leave --text out, and call the columns {', '.join(form.fields)}",
        )
    return replace(form, brief=column)


def prompt_of(template: PromptTemplate, brief: Brief, rows: Rows, number: int) -> str:
    """The prompt of a brief: what the template makes of it, then its documents.

    Raises:
        UserError: The template fails on it; the row is named.
    """
    try:
        prompt = template.render(brief).rstrip("\n")
    except UserError as error:
        raise error.replace(where=f"{rows.where(number)}, {error.where}") from error
    return f"{prompt}\n\n{shown(brief.context)}" if brief.context else prompt


def briefs_of(rows: Rows) -> list[Brief]:
    """The brief of each row."""
    return [from_text(text) for text in rows.texts(BRIEF)]


def merged_prompts(
    rows: Rows, prompts: Sequence[list[Message]], wanted: int | None, said: Callable[[str], str]
) -> Prompts:
    """One exchange for each different brief: its prompt, and what every copy says that people wrote from it."""
    merged = merge_references(rows)
    chosen = drawn([1] * len(merged.first), wanted)
    first = merged.first[chosen]
    files, lines = rows.texts("file"), rows.column("line").to_pylist()
    mentions = [list(brief.must_mention) for brief in briefs_of(rows)]
    groups = np.array(rows.texts("group")) if "group" in rows.roles else np.arange(len(rows)).astype(str)
    return Prompts(
        histories=[prompts[i] for i in first],
        references=[[*map(said, merged.references[i])] for i in chosen],
        rows=first,
        turns=None,
        files=[files[i] for i in first],
        lines=[int(lines[i]) for i in first],
        groups=groups[first],
        facts=[mentions[i] for i in first] if any(mentions) else None,
    )
