"""What the rows of all splits have to do with each other: equal texts, like texts, groups, labels at odds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from tunebook.data.columns import PAIR, TEXT
from tunebook.data.duplicates import Duplicates, clusters, find_duplicates
from tunebook.data.pairs import whole_column
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows

Passages = Callable[[str], Iterable[tuple[str, str]]]
"""Takes the value of a role apart: the places in it, each with its text."""

GUARDED = ("test", "validation", "train")
"""Splits from the one that is never touched to the one that gives way."""


@dataclass(frozen=True)
class Layout:
    """The splits counted through, test first: what is kept stands before what gives way.

    Attributes:
        parts: The rows of each split that there is.
        starts: [splits + 1] position of each split's first row.
    """

    parts: tuple[Rows, ...]
    starts: tuple[int, ...]

    @classmethod
    def of(cls, splits: Mapping[str, Rows]) -> Layout:
        """Lay out the splits in the order of `GUARDED`."""
        parts = tuple(splits[name] for name in GUARDED if name in splits)
        return cls(parts, tuple(int(start) for start in np.cumsum([0, *map(len, parts)])))

    def column(self, role: str) -> pa.ChunkedArray:
        """[rows] one column of all splits, still on disk."""
        chunks = [chunk for part in self.parts for chunk in part.column(role).chunks]
        return pa.chunked_array(chunks, self.parts[0].column(role).type)

    def sides(self) -> np.ndarray:
        """[rows] number of each row's split."""
        return np.repeat(np.arange(len(self.parts)), np.diff(self.starts))

    def place(self, row: int) -> tuple[Rows, int]:
        """The split that a row is in and its position there."""
        side = int(np.searchsorted(self.starts, row, side="right")) - 1
        return self.parts[side], row - self.starts[side]

    def where(self, row: int) -> str:
        """The place of a row, as "train.csv:17"."""
        part, i = self.place(row)
        return part.where(i)


class Content(Protocol):
    """What rows hold beside their text, such as the pictures that they name.

    Attributes:
        what: What it is, in one word.
        ungrouped: What to tell where no group column is given; "" for nothing.
        line: The role of a line of standard input; "" where a line can be none.
        passages: Role -> takes its value apart into places, each with the text that stands there, in which personal
            data is looked for; empty where rows hold no text.

    One that adds roles to the rows names them in ``adds``, so that no recipe has a column of that role; and in
    ``stratum`` the one of them by which splits are stratified, if there is one.
    """

    what: str
    ungrouped: str
    line: str

    @property
    def passages(self) -> Mapping[str, Passages]:
        """The places of texts by role."""
        ...

    def inspect(self, rows: Rows, rejects: RejectLog) -> Rows:
        """The rows whose content can be used; the others go to ``rejects``."""
        ...

    def alike(self, layout: Layout, threshold: float) -> Duplicates:
        """Which rows have equal or nearly equal content."""
        ...


@dataclass(frozen=True)
class Compared:
    """What was found among the rows of a layout.

    Attributes:
        layout: The splits.
        found: Equal and nearly equal texts (or other content); None where rows have none.
        groups: [rows] number of each row's group, -1 for none; None where rows have no groups.
        what: What was compared, in one word.
    """

    layout: Layout
    found: Duplicates | None
    groups: np.ndarray | None
    what: str = "text"

    def units(self, split: str) -> np.ndarray:
        """[rows of the split] equal for rows that must stay together when the split is split again."""
        total = self.layout.starts[-1]
        alone = np.arange(total)
        found = self.found or Duplicates(alone, alone[:0], alone[:0], np.zeros(0))
        index = [part.split for part in self.layout.parts].index(split)
        return clusters(found, self.groups)[self.layout.starts[index] : self.layout.starts[index + 1]]

    def notes(self, label: str | None, named: str = "label") -> list[str]:
        """Say what stands twice in a split, and what carries two labels; ``named`` is what these are called."""
        if self.found is None:
            return []
        notes, first = [], self.found.first
        for part, start in zip(self.layout.parts, self.layout.starts, strict=False):
            repeats = len(part) - len(np.unique(first[start : start + len(part)]))
            if repeats:
                notes.append(f"{part.split}: {repeats} of {len(part)} rows repeat the {self.what} of another")
        if label is not None:
            notes += self._conflicts(label, first, named)
        if not self.found.complete:
            notes.append(f"many {self.what}s are so similar that not every pair of them was compared")
        return notes

    def _conflicts(self, label: str, first: np.ndarray, named: str) -> list[str]:
        labels = _codes(self.layout.column(label))
        odd = np.flatnonzero((labels != labels[first]) & (labels >= 0) & (labels[first] >= 0))
        if not len(odd):
            return []
        shown = [f"{self.layout.where(int(first[i]))} and {self.layout.where(int(i))}" for i in odd[:3]]
        count = len(np.unique(first[odd]))
        return [f"{count} {self.what}{'s' * (count > 1)} with more than one {named}, such as {'; '.join(shown)}"]


def compare(
    splits: Mapping[str, Rows],
    text: str | None,
    group: str | None,
    near_duplicate: float,
    content: Content | None = None,
) -> Compared:
    """Compare the rows of all splits with each other.

    Args:
        splits: The splits there are.
        text: Role of the text that makes rows alike, with the second one where rows are pairs; None: rows are not
            compared by text.
        group: Role of the group column, if there is one.
        near_duplicate: Similarity from which two rows are alike.
        content: What is compared in place of the text.
    """
    layout = Layout.of(splits)
    groups = _codes(layout.column(group)) if group is not None else None
    if content is not None:
        return Compared(layout, content.alike(layout, near_duplicate), groups, content.what)
    if text is None:
        return Compared(layout, None, groups)
    paired = text == TEXT and all(PAIR in part.roles for part in layout.parts)
    whole = whole_column(layout.column(text), layout.column(PAIR) if paired else None)
    return Compared(layout, find_duplicates(whole, near_duplicate), groups, "pair" if paired else "text")


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """[rows] a number for each distinct value, -1 for none."""
    numbers: dict[str, int] = {}
    codes = [
        -1 if value is None else numbers.setdefault(value, len(numbers))
        for chunk in column.chunks
        for value in chunk.to_pylist()
    ]
    return np.array(codes, np.int64)
