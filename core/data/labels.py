"""The set of labels: found in the rows, ordered the same whatever the order of the rows."""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow.compute as pc

from tunebook.data.rows import Rows
from tunebook.errors import UserError

_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d{1,2}", re.ASCII)
Counts = Mapping[str, Mapping[str, int]]
"""Split -> label -> number of rows."""


@dataclass(frozen=True)
class Labels:
    """Label names in their order, and how many rows of each split carry each.

    Attributes:
        names: The label of output 0, 1, 2 ...
        counts: Split to label to number of rows; labels without rows count 0.
    """

    names: tuple[str, ...]
    counts: Counts

    def index(self, name: str) -> int:
        """The number of a label; KeyError for a stranger."""
        return self._places[name]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    @property
    def is_ordered_numeric(self) -> bool:
        """Whether the labels are numbers in rising order, as stars are."""
        values = [_number(name) for name in self.names]
        known = [value for value in values if value is not None]
        return len(known) == len(values) and known == sorted(known)


def count_labels(rows: Mapping[str, Rows], role: str) -> dict[str, dict[str, int]]:
    """Count the labels of each split."""
    counts = {}
    for split, part in rows.items():
        found: Counter[str] = Counter()
        for chunk in part.column(role).chunks:
            for item in pc.value_counts(chunk).to_pylist():
                found[item["values"]] += item["counts"]
        counts[split] = dict(found)
    return counts


def find_labels(counts: Counts, wanted: Sequence[str] | None, *, will_split: bool = False) -> tuple[str, ...]:
    """Order the label names and refuse label sets that nobody means.

    The order is ``wanted`` if given, else by value when all labels are numbers, else alphabetical.

    Args:
        counts: Labels of each split there is; "train" must be among them.
        wanted: ``data.labels``.
        will_split: Whether validation or test rows are still to be split off the training rows.

    Raises:
        UserError: One class only, labels that differ by case or space alone, a label that no training row
            has, a class too small to split.
    """
    train = counts["train"]
    _refuse_confusable(counts)
    names = tuple(wanted) if wanted is not None else sort_labels(train)
    if len(set(names)) < len(names):
        raise UserError(
            "data.labels names a label twice", code="config.duplicate", where="data.labels", fix="name each label once"
        )
    total = sum(train.values())
    if len(names) < 2:
        only = f"every row is {names[0]!r}" if names else "there is no label"
        raise UserError(
            f"the training rows have one class only: {only}",
            code="data.single-class",
            where="data.label",
            fix="add rows of another class",
        )
    if total < len(names):
        raise UserError(
            f"there are fewer training rows ({total}) than classes ({len(names)})",
            code="data.too-few-rows",
            where="data.train",
            fix="add rows, at least three of each class",
        )
    _refuse_strangers(counts, names)
    absent = [name for name in names if not train.get(name)]
    if absent:
        raise UserError(
            f"no training row has the label {_listed(absent)}",
            code="data.missing-label",
            where="data.labels",
            fix="add such rows or drop it",
        )
    if will_split:
        _refuse_single(train)
    return names


def sort_labels(names: Mapping[str, int] | Sequence[str]) -> tuple[str, ...]:
    """By value when all are numbers, else alphabetical."""
    values = {name: _number(name) for name in names}
    if all(value is not None for value in values.values()):
        return tuple(sorted(values, key=lambda name: (values[name], name)))
    return tuple(sorted(values))


def same_number(value: str, names: Collection[str]) -> str | None:
    """The one name that is the same number as a value written otherwise: ``3`` for ``3.0``; None where none is."""
    number = _number(value)
    if number is None or value in names:
        return None
    same = [name for name in names if _number(name) == number]
    return same[0] if len(same) == 1 else None


def absence_notes(labels: Labels) -> list[str]:
    """Say which labels validation and test never ask for."""
    notes = []
    for split in ("validation", "test"):
        absent = [name for name in labels.names if not labels.counts[split].get(name)]
        if absent:
            notes.append(f"no {split} row has the label {_listed(absent)}: the scores do not cover it")
    return notes


def comma_notes(labels: Labels) -> list[str]:
    """Say that labels such as ``4,5`` are names, where all of them look like numbers with a decimal comma."""
    if not labels.names or any(_comma_number(name) is None for name in labels.names):
        return []
    example = labels.names[0]
    return [
        f"the labels look like numbers with a decimal comma ({_listed(labels.names)}) and are taken as names; with a "
        f"decimal point, as in {example.replace(',', '.')}, they would be ordered, and scored by their distance too"
    ]


def _comma_number(name: str) -> float | None:
    """The value of a number with a decimal comma; ``1,000`` may be a thousand and is none."""
    return float(name.strip().replace(",", ".")) if _DECIMAL_COMMA.fullmatch(name.strip()) else None


def _number(name: str) -> float | None:
    try:
        value = float(name)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _refuse_confusable(counts: Counts) -> None:
    total: Counter[str] = Counter()
    for split in counts.values():
        total.update(split)
    alike: dict[str | float, list[str]] = {}
    for name in sorted(total):
        value = _comma_number(name) if _number(name) is None else _number(name)
        alike.setdefault(" ".join(name.casefold().split()) if value is None else value, []).append(name)
    pairs = [names for names in alike.values() if len(names) > 1]
    if not pairs:
        return
    shown = "; ".join(" and ".join(f"{name!r} ({total[name]} rows)" for name in names) for names in pairs[:3])
    usual = max(pairs[0], key=lambda name: (total[name], name))
    raise UserError(
        f"labels that differ by case, space or number format alone: {shown}",
        code="data.confusable-labels",
        where="data.label",
        fix=f"write them one way in the file, say {usual!r}; data.labels=[...] rejects all it does not name",
    )


def _refuse_strangers(counts: Counts, names: Sequence[str]) -> None:
    for split in ("validation", "test"):
        strangers = sorted(set(counts.get(split, {})) - set(names))
        if not strangers:
            continue
        near = difflib.get_close_matches(strangers[0], names, n=1)
        guess = f"is it {near[0]!r}? " if near else ""
        raise UserError(
            f"{split} rows have a label that no training row has: {_listed(strangers)}",
            code="data.unseen-label",
            where=f"data.{split}",
            fix=f"{guess}add training rows with it, or data.labels=[...] to reject all it does not name",
        )


def _refuse_single(train: Mapping[str, int]) -> None:
    single = sorted(name for name, count in train.items() if count == 1)
    if not single:
        return
    if len(single) == len(train):
        raise UserError(
            f"every row has a different label ({len(single)} labels in {len(single)} rows)",
            code="data.unique-labels",
            where="data.label",
            fix="is it the right column? data.label=<column>",
        )
    others = [name for name in train if train[name] > 1]
    near = difflib.get_close_matches(single[0], others, n=1, cutoff=0.8)
    guess = f"is it a misspelt {near[0]!r}? " if near else ""
    raise UserError(
        f"only one row has the label {_listed(single)}: it cannot be used for both training and testing",
        code="data.rare-label",
        where="data.train",
        fix=f"{guess}add rows with it, leave it out of data.labels=[...], or give validation and test rows",
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
