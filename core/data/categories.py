"""Columns whose cells are one of a few words: what counts as one of them, and what the rows of a run hold of them."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tunebook.errors import UserError

if TYPE_CHECKING:
    from tunebook.data.columns import Column
    from tunebook.data.rows import Rows


@dataclass(frozen=True)
class Categories:
    """The words that a cell may hold.

    Attributes:
        values: The words.
        key: The config key that lists them, for messages.
        normalize: Whether case, and spaces around a word, make no difference.
        lenient: What is typed for that; "" where nothing can be.
    """

    values: tuple[str, ...]
    key: str
    normalize: bool = False
    lenient: str = ""

    def read(self, value: str) -> tuple[str, str]:
        """The word that a cell holds, and what is wrong with any other."""
        if value in self.values:
            return value, ""
        same = next((word for word in self.values if folded(word) == folded(value)), None)
        if same is not None and self.normalize:
            return same, ""
        fault = f"is {value!r}, which is none of {', '.join(self.values)}"
        if same is not None:
            read_so = f", {self.lenient} reads it so" if self.lenient else ""
            return value, f"{fault} (did you mean {same!r}?{read_so})"
        near = difflib.get_close_matches(folded(value), [folded(word) for word in self.values], n=1)
        guess = next((word for word in self.values if near and folded(word) == near[0]), None)
        return value, fault + (f" (did you mean {guess!r}?)" if guess else "")


def folded(word: str) -> str:
    """A word without its case and the spaces around it."""
    return word.strip().casefold()


def rarest_values(rows: Rows, roles: Sequence[str]) -> NDArray[np.object_]:
    """[rows] the rarest of the values that a row holds, with its column: what rows with several are stratified by.

    The mixtures of many columns are nearly all different, and could not be shared out.
    """
    columns = [rows.texts(role) for role in roles]
    counts = Counter((role, value) for role, column in zip(roles, columns, strict=True) for value in column)
    found = np.full(len(rows), "", dtype=object)
    for row, values in enumerate(zip(*columns, strict=True)):
        known = [(counts[each], *each) for each in zip(roles, values, strict=True) if each[1]]
        if known:
            _, role, value = min(known)
            found[row] = f"{role}={value}"
    return found


def check_categories(rows: Mapping[str, Rows], columns: Sequence[Column]) -> list[str]:
    """Refuse training rows that cannot teach all words, and say which splits lack some.

    Args:
        rows: By split.
        columns: Those of the kind "category".

    Returns:
        Notes, a sentence each.

    Raises:
        UserError: A word is in no column of the training rows, or a column has the same one in all of them.
    """
    counts = {
        split: {column.role: Counter(filter(None, part.texts(column.role))) for column in columns}
        for split, part in rows.items()
    }
    for categories in dict.fromkeys(column.categories for column in columns):
        assert categories is not None
        alike = [column for column in columns if column.categories == categories]
        absent = [word for word in categories.values if not any(counts["train"][each.role][word] for each in alike)]
        if absent:
            raise UserError(
                f"no training row has the value {', '.join(map(repr, absent))} in {_named(alike)}",
                code="data.missing-label",
                where=categories.key,
                fix=f"add such rows, or leave {absent[0]!r} out of {categories.key}",
            )
    for column in columns:
        found = counts["train"][column.role]
        if len(found) < 2:
            only = f"every training row has {next(iter(found))!r} in" if found else "no training row has a value in"
            raise UserError(
                f"{only} the column {column.name!r}: there is nothing to distinguish",
                code="data.constant-label",
                where=column.key,
                fix="add rows, or leave the column out",
            )
    return [
        f"no {split} row has {', '.join(map(repr, absent))} in {column.name!r}: the scores do not cover it"
        if split != "train"
        else f"no training row has {', '.join(map(repr, absent))} in {column.name!r}: the model will hardly predict it"
        for split in ("train", "validation", "test")
        for column in columns
        if column.categories is not None
        if (absent := [word for word in column.categories.values if not counts[split][column.role][word]])
    ]


def _named(columns: Sequence[Column]) -> str:
    names = ", ".join(repr(column.name) for column in columns[:5])
    return names + (f" and {len(columns) - 5} more" if len(columns) > 5 else "")
