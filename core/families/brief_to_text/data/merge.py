"""Rows with one brief brought together: copy is measured against all that people wrote from a brief."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from tunebook.data.rows import Rows
from tunebook.families.brief_to_text.data.content import BRIEF
from tunebook.families.brief_to_text.data.forms import COPY


@dataclass(frozen=True)
class Merged:
    """Briefs with all their references, in the order in which they first appear.

    Attributes:
        first: [briefs] position of the first row with each brief, ascending; ``rows.take(first)`` are rows with a brief
            each, at the file and line of its first.
        brief: [rows] number of each row's brief.
        references: [briefs] every copy of every row with that brief, in order, none left out.
    """

    first: np.ndarray
    brief: np.ndarray
    references: list[list[str]]


def merge_references(rows: Rows) -> Merged:
    """Bring rows with equal briefs together.

    Briefs are equal where all of them is, the order of fields and the channel included: where they differ in anything
    a prompt could tell, they ask for copy of their own.

    Args:
        rows: ValidatedData rows (`BriefContent.inspect`).
    """
    numbers: dict[str, int] = {}
    first: list[int] = []
    brief: list[int] = []
    references: list[list[str]] = []
    for i, (text, copies) in enumerate(zip(rows.texts(BRIEF), rows.texts(COPY), strict=True)):
        number = numbers.setdefault(text, len(numbers))
        if number == len(first):
            first.append(i)
            references.append([])
        brief.append(number)
        references[number] += json.loads(copies)
    return Merged(np.array(first, np.int64), np.array(brief, np.int64), references)
