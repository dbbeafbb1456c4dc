"""The briefs and copies of rows for the data gate: checked against each other, compared by what the brief says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tunebook.data.content import Layout, Passages
from tunebook.data.duplicates import Duplicates, find_duplicates
from tunebook.data.near import find_near
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import FILE, LINE, Rows, RowWriter, row_schema
from tunebook.families.brief_to_text.data.brief import (
    Brief,
    UnusableBrief,
    content_text,
    flat_text,
    from_text,
    passages,
    to_plain,
    to_text,
)
from tunebook.families.brief_to_text.data.check import check_copies
from tunebook.families.brief_to_text.data.forms import COPY, SOURCE, BriefForm, brief_columns
from tunebook.families.brief_to_text.data.parse import Row, read_brief, read_copies
from tunebook.families.text_generation.data.beside import refusal

BRIEF, TEXT = "brief", "text"
"""Roles of a checked brief: as JSON (`to_text`), and as people read it (`to_plain`)."""
SAID, FLAT = "said", "flat"


class BriefContent:
    """The briefs of rows, and the copies written from them.

    Args:
        form: How rows hold them.
        answered: Rows have copy; False where it is still to be written.
    """

    what = "brief"
    adds = (BRIEF, TEXT)
    ungrouped = ""

    def __init__(self, form: BriefForm, answered: bool = True) -> None:
        self.form = form
        self.line = SOURCE if form.brief else ""  # a line holds a brief whole, where a column of the rows does
        self.answered = answered

    @property
    def passages(self) -> Mapping[str, Passages]:
        """Of a brief its fields and what it asks for, and the copies."""
        return {
            BRIEF: lambda brief: passages(from_text(brief)),
            COPY: lambda copies: [(self.form.copy, copy) for copy in json.loads(copies)],
        }

    def inspect(self, rows: Rows, rejects: RejectLog) -> Rows:
        """Read and check every brief and its copies; bad rows go to ``rejects``.

        The columns as read give way to the roles `BRIEF`, `COPY` (JSON list of texts) and `TEXT`; other roles stay.
        """
        columns = brief_columns(self.form, answered=self.answered)
        sources = [column.role for column in columns if column.role in rows.roles]
        others = [role for role in rows.roles if role not in sources]
        made = [BRIEF, COPY, TEXT] if self.answered else [BRIEF, TEXT]
        schema = row_schema([*others, *made])
        writer = RowWriter(schema, rows.split)
        for batch in rows.table.to_batches():
            usable, values = self._checked(batch, sources, rejects)
            if usable:
                good = batch.take(pa.array(usable, pa.int64()))
                arrays = [*map(good.column, others), *(pa.array(values[role], pa.string()) for role in made)]
                writer.add_batch(pa.record_batch([*arrays, good.column(FILE), good.column(LINE)], schema=schema))
        return writer.finish()

    def alike(self, layout: Layout, threshold: float) -> Duplicates:
        """Which rows of all splits have the same brief, or nearly.

        Rows with one brief are the rule: each has another copy for it. They are equal, so that they stay on one side
        of a split. `content_text` documents what makes two briefs equal; how nearly alike they are, by their values.

        Args:
            layout: The splits.
            threshold: Jaccard similarity of the word 3-grams of two briefs (`flat_text`); from 1.0 on only equal ones
                are found. Briefs of few words that say different things may well be nearly alike.
        """
        # In a scratch file, as the rows are: in memory is only what is looked at.
        schema = pa.schema([pa.field(SAID, pa.string()), pa.field(FLAT, pa.string())])
        writer = RowWriter(schema, "all")
        for chunk in layout.column(BRIEF).chunks:
            briefs = [from_text(text) for text in chunk.to_pylist()]
            columns = [pa.array([show(brief) for brief in briefs], pa.string()) for show in (content_text, flat_text)]
            writer.add_batch(pa.record_batch(columns, schema=schema))
        texts = writer.finish()
        equal = find_duplicates(texts.column(SAID), 1.0)
        if threshold >= 1.0:
            return equal
        distinct = np.flatnonzero(equal.first == np.arange(len(equal.first)))
        return Duplicates(equal.first, *find_near(texts.column(FLAT), distinct, threshold))

    def _checked(
        self, batch: pa.RecordBatch, sources: Sequence[str], rejects: RejectLog
    ) -> tuple[list[int], dict[str, list[str]]]:
        """The positions of good rows, and what is made of them, by role."""
        usable: list[int] = []
        made: dict[str, list[str]] = {BRIEF: [], COPY: [], TEXT: []}
        columns = [batch.column(role).to_pylist() for role in sources]
        for i, values in enumerate(zip(*columns, strict=True)):
            row: Row = dict(zip(sources, values, strict=True))
            read = self._read(row)
            if isinstance(read, _Fault):
                file, line = batch.column(FILE)[i].as_py(), batch.column(LINE)[i].as_py()
                rejects.add(file, line, read.field, read.reason, read.text)
                continue
            brief, copies = read
            usable.append(i)
            made[BRIEF].append(to_text(brief))
            made[COPY].append(json.dumps(copies, ensure_ascii=False))
            made[TEXT].append(to_plain(brief))
        return usable, made

    def _read(self, row: Row) -> tuple[Brief, tuple[str, ...]] | _Fault:
        """The brief of a row and its copies, or what is wrong with it."""
        try:
            brief = read_brief(row, self.form)
        except UnusableBrief as reason:
            text = row.get(SOURCE) or "; ".join(value for value in row.values() if value)
            return _Fault(self.form.brief or "", f"has no usable brief: {reason}", text)
        if not self.answered:
            return brief, ()
        if refused := refusal(row):
            return _Fault("", f"cannot be used: {refused}", row.get(COPY) or "")
        structure = self.form.structure
        try:
            copies = read_copies(row, structure)
            said = copies if structure is None else [structure.said(copy) for copy in copies]
            check_copies(brief, said, row.get(SOURCE) or "")
        except UnusableBrief as reason:
            column = self.form.copy if COPY in self.form.copies else ""
            text = "; ".join(row.get(role) or "" for role in self.form.copies)
            return _Fault(column, f"has no usable copy: {reason}", text)
        return brief, copies


@dataclass(frozen=True)
class _Fault:
    """Why a row cannot be used: the column at fault or "", the reason, and what stands there."""

    field: str
    reason: str
    text: str
