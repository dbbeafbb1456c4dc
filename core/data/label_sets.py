"""Rows that may have several labels, or none: in a column of yes or no for each, or in one column that lists them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.data.columns import Column
from tunebook.data.labels import Labels, find_labels
from tunebook.data.rows import Rows
from tunebook.errors import UserError

MOST = 1000
"""The most labels that lists may hold: a row is a flag for each."""
USUAL = (";", ",", "|")
"""What usually separates the labels of a cell."""


def listed(value: str, separator: str, allowed: Collection[str] | None) -> tuple[str, str]:
    """A cell that lists labels, as a JSON list, and what is wrong with it.

    Args:
        value: A JSON list of texts, as JSON Lines and Parquet have it, or labels with the separator between them.
        separator: What is between them.
        allowed: The only labels allowed; None for any.
    """
    names = _names(value, separator)
    if isinstance(names, str):
        return value, names
    if any("\0" in name for name in names):
        return value, "holds a NUL character"
    strangers = [name for name in names if allowed is not None and name not in allowed]
    if strangers:
        return value, f"has {strangers[0]!r}, which is none of the labels wanted"
    return json.dumps(names, ensure_ascii=False), ""


def _names(value: str, separator: str) -> list[str] | str:
    """The labels of a cell in the order written, or what is wrong with it."""
    found: Any = None
    if value.lstrip().startswith(("[", "{")):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):  # a label may begin with a bracket
            found = None
    if isinstance(found, dict):
        found = found.get("choices")  # a cell of Label Studio's tables
        if not isinstance(found, list):
            return "is a nested object, not a list of labels"
    if isinstance(found, list):
        strange = [each for each in found if not isinstance(each, str)]
        if strange:
            return f"lists {json.dumps(strange[0], ensure_ascii=False)[:40]}, which is not text"
    parts = found if isinstance(found, list) else value.split(separator)
    return [part.strip() for part in parts if part.strip()]


@dataclass(frozen=True)
class LabelSets:
    """Where the labels of rows are that may have several.

    Attributes:
        flags: Role -> name of each column of yes or no; empty where one column lists them.
        role: Role of the column that lists them; "" where there are flags.
        key: The config key that names the columns.
        separator: What separates labels in a cell.
    """

    flags: Mapping[str, str] = field(default_factory=dict)
    role: str = ""
    key: str = ""
    separator: str = ""

    @classmethod
    def of(cls, columns: Sequence[Column]) -> LabelSets | None:
        """That of a recipe's columns; None where rows have one label, or none at all."""
        flags = [column for column in columns if column.kind == "flag"]
        if flags:
            return cls({column.role: column.name for column in flags}, key=flags[0].key)
        lists = [column for column in columns if column.kind == "labels"]
        return cls(role=lists[0].role, key=lists[0].key, separator=lists[0].separator) if lists else None

    @property
    def called(self) -> str:
        """What a label is called, as the key has it: "finding" of ``recipe.findings``."""
        return self.key.rpartition(".")[2].removesuffix("s")

    def names(self, given: Mapping[str, Rows], wanted: Sequence[str] | None, will_split: bool) -> tuple[str, ...]:
        """The labels in their order: that of the columns, or ``wanted``, or else sorted.

        Args:
            given: The rows of each split there is; "train" among them.
            wanted: ``data.labels``; of no account where columns name the labels.
            will_split: Whether splits are still to be taken off the training rows.

        Raises:
            UserError: A column is named twice; or the lists hold labels that nobody means.
        """
        if self.flags:
            names = tuple(self.flags.values())
            if len(set(names)) < len(names):
                what = f"a {self.called} is named twice"
                raise UserError(what, code="config.duplicate", where=self.key, fix="name each column once")
            return names
        counts = {
            split: Counter(name for row in self._lists(rows) for name in set(row)) for split, rows in given.items()
        }
        found = list(wanted) if wanted is not None else sorted(counts["train"])
        if wanted is None:
            self._refuse_unsplit(given, found)
        if len(found) < 2:
            raise UserError(
                f"the training rows have one label only, {found[0]!r}" if found else "no training row has any label",
                code="data.single-class",
                where=self.key,
                fix="is it the right column? data.label=<column>; one column of two values is a task for a recipe of "
                "one label",
            )
        if len(found) > MOST:
            raise UserError(
                f"there are {len(found)} labels, and at most {MOST} can be learned together",
                code="data.too-many-labels",
                where=self.key,
                fix="is it the right column? data.label=<column>; data.labels=[...] names those that are wanted",
            )
        return find_labels(counts, wanted, will_split=will_split)

    def _refuse_unsplit(self, given: Mapping[str, Rows], names: Sequence[str]) -> None:
        """Labels that were never taken apart would be learned as they stand, such as ``price, fit``."""
        if self._any_has_several(given):
            return
        for other in USUAL:
            holding = [name for name in names if other in name]
            if other != self.separator and holding:
                raise UserError(
                    f"no row has {self.separator!r} between its labels, and {len(holding)} of {len(names)} labels hold "
                    f"{other!r}, such as {holding[0]!r}",
                    code="data.wrong-separator",
                    where="data.separator",
                    fix=f"data.separator={other!r}, or name the labels as they are: data.labels=[...]",
                )

    def _any_has_several(self, given: Mapping[str, Rows]) -> bool:
        return any(len(set(row)) > 1 for rows in given.values() for row in self._lists(rows))

    def _lists(self, rows: Rows) -> list[list[str]]:
        return [json.loads(cell) if cell else [] for cell in rows.texts(self.role)]

    def flags_of(self, rows: Rows, names: Sequence[str]) -> NDArray[np.int64]:
        """1 where a row has a label, else 0, ``[rows, labels]``."""
        if self.flags:
            columns = [np.array(rows.texts(role), dtype=object) == "1" for role in self.flags]
            return np.stack(columns, axis=1).astype(np.int64)
        places = {name: i for i, name in enumerate(names)}
        flags = np.zeros((len(rows), len(names)), dtype=np.int64)
        for i, row in enumerate(self._lists(rows)):
            flags[i, [places[name] for name in row]] = 1
        return flags

    def mixtures(self, rows: Rows) -> NDArray[Any]:
        """[rows] which labels each has, as text: what rows with several are stratified by."""
        if self.flags:
            columns = [rows.texts(role) for role in self.flags]
            return np.array(["".join(row) for row in zip(*columns, strict=True)], dtype=object)
        return np.array([json.dumps(sorted(set(row))) for row in self._lists(rows)], dtype=object)

    def count(self, rows: Mapping[str, Rows], names: Sequence[str]) -> Labels:
        """The labels, counted in each split.

        Raises:
            UserError: No training row has one of them, or every one has.
        """
        counts = {
            split: dict(zip(names, map(int, self.flags_of(part, names).sum(axis=0)), strict=True))
            for split, part in rows.items()
        }
        for name, count in counts["train"].items():
            if count in (0, len(rows["train"])):
                only = "no training row has" if not count else "every training row has"
                raise UserError(
                    f"{only} the {self.called} {name!r}: there is nothing to distinguish",
                    code="data.constant-label",
                    where=self.key,
                    fix="add rows, or leave it out",
                )
        return Labels(tuple(names), counts)

    def notes(self, rows: Mapping[str, Rows]) -> list[str]:
        """What lists of labels hold that is used, and may not be meant."""
        if self.flags:
            return []
        notes, lists = [], {split: self._lists(part) for split, part in rows.items()}
        twice = sum(len(set(row)) < len(row) for part in lists.values() for row in part)
        if twice:
            notes.append(f"{twice} rows list a label twice: it counts once")
        if not any(len(set(row)) > 1 for part in lists.values() for row in part):
            notes.append(f"no row has more than one label: {self.separator!r} is between labels (data.separator)")
        return notes
