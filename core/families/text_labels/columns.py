"""Which columns hold a row's labels: one of 1 or 0 for each, or one that lists them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tunebook.data.columns import Column
from tunebook.data.label_sets import LabelSets
from tunebook.data.rows import Rows
from tunebook.errors import UserError
from tunebook.families.text_labels.options import TextLabelsData

LABELS = "labels"
"""Role of the column that lists the labels of a row."""
SEPARATOR = ";"
NONE = "none"
"""What an answer says that names no label."""


def training_columns(topics: Sequence[str] | None, own: Sequence[str], data: TextLabelsData) -> list[Column]:
    """The columns of a row's labels, as the config names them.

    Args:
        topics: ``recipe.topics``.
        own: What the recipe names where nobody else does.
        data: The ``data:`` node.

    Raises:
        UserError: Both ways are named, or none; or one label only; or a label is read as text, too.
    """
    if data.label is not None:
        if topics is not None:
            raise UserError(
                "recipe.topics are columns of 1 and 0, and data.label is one column that lists labels: both are given",
                code="config.conflict",
                where="recipe.topics, data.label",
                fix="keep the one that the rows have",
            )
        return [listing(data.label, data.separator)]
    chosen = own if topics is None else topics
    idle = next((key for key in ("separator", "labels") if getattr(data, key) is not None), None)
    if idle is not None:
        raise UserError(
            f"data.{idle} is about the labels that data.label lists, and there is no data.label",
            code="config.conflict",
            where=f"data.{idle}",
            fix="data.label=<column>, or leave it out",
        )
    if not chosen:
        raise UserError(
            "nothing says where the labels are",
            code="config.missing-value",
            where="recipe.topics" if topics is not None else "recipe.topics, data.label",
            fix="recipe.topics=[<column>,<column>] for columns of 1 and 0, or data.label=<column> for one of lists",
        )
    if len(chosen) < 2:
        raise UserError(
            f"{chosen[0]!r} is the only label: several are wanted",
            code="data.single-class",
            where="recipe.topics",
            fix="name another column; one column of two values is a task for a recipe of one label",
        )
    read = [name for name in chosen if name in (data.text, data.text_pair, *data.text_with)]
    if read:
        raise UserError(
            f"the column {read[0]!r} is a label, and is read with the text, too",
            code="config.conflict",
            where="recipe.topics",
            fix="leave it out of one of them",
        )
    return [Column(flag_role(i), name, "recipe.topics", "flag") for i, name in enumerate(chosen)]


def listing(name: str, separator: str | None) -> Column:
    """The column that lists the labels of a row.

    Raises:
        UserError: The separator is empty.
    """
    if separator is not None and not separator.strip(" "):
        raise UserError(
            "data.separator is empty, and cells hold more than one label",
            code="config.out-of-range",
            where="data.separator",
            fix="data.separator=';'",
        )
    return Column(LABELS, name, "data.label", "labels", gaps=True, separator=separator or SEPARATOR)


def flag_columns(names: Sequence[str]) -> list[Column]:
    """Columns of 1 and 0 that must be called as the labels are."""
    return [Column(flag_role(i), name, "data.label", "flag", choice="") for i, name in enumerate(names)]


def flag_role(number: int) -> str:
    """The role of a label's column of 1 and 0."""
    return f"label {number}"


def flags_of(rows: Rows, names: Sequence[str]) -> NDArray[np.int64]:
    """1 where a row has a label, else 0, ``[rows, labels]``."""
    if LABELS in rows.roles:
        return LabelSets(role=LABELS).flags_of(rows, names)
    return LabelSets({flag_role(i): name for i, name in enumerate(names)}).flags_of(rows, names)


def check_names(names: Sequence[str], where: str) -> None:
    """Refuse labels that an answer in words could not be told apart by.

    Raises:
        UserError: One is called as an answer without labels, or holds what separates labels.
    """
    for name in names:
        if name.strip().casefold() == NONE:
            raise UserError(
                f"a label is called {name!r}, which is what an answer without any label says",
                code="data.reserved-label",
                where=where,
                fix="leave the cell empty where a text has no label; a label of that meaning needs another name",
            )
        if ";" in name:
            raise UserError(
                f"the label {name!r} holds a semicolon, which separates the labels of an answer",
                code="data.reserved-label",
                where=where,
                fix="rename it; if these are several labels: data.separator=';'",
            )


def in_words(flags: NDArray[np.int64], names: Sequence[str]) -> str:
    """The labels of one row ``[labels]``, or that there is none."""
    return "; ".join(name for name, flag in zip(names, flags, strict=True) if flag) or NONE
