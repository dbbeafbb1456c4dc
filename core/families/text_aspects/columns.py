"""The columns of aspects, what their values are called as outputs of a model, and the numbers of a row's values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tunebook.data.batch import IGNORE_INDEX
from tunebook.data.categories import Categories, folded
from tunebook.data.columns import Column
from tunebook.data.rows import Rows
from tunebook.errors import UserError
from tunebook.families.text_aspects.options import TextAspectsConfig

_ASPECTS, _VALUES = "recipe.aspects", "recipe.values"
_ROLE = "aspect "


def aspect_role(number: int) -> str:
    """The role of an aspect's column."""
    return f"{_ROLE}{number}"


def is_aspect(role: str) -> bool:
    """Whether a role is that of an aspect's column."""
    return role.startswith(_ROLE)


def aspect_columns(options: TextAspectsConfig, others: Sequence[Column]) -> list[Column]:
    """The columns of the aspects; an empty cell is an unknown value, and no reject.

    Args:
        options: Name the aspects and their values.
        others: What a row holds besides.

    Raises:
        UserError: A name is no text; there are no aspects; one is named twice, or read for another purpose; there are
            too few values, or two that cannot be told apart.
    """
    for key, names in ((_ASPECTS, options.aspects), (_VALUES, options.values)):
        _check_texts(key, names)
    _check_aspects(options.aspects, others)
    _check_values(options)
    words = Categories(tuple(options.values), _VALUES, options.normalize, "recipe.normalize=true")
    names = options.aspects
    choices = [f"{_ASPECTS}=[{','.join([*names[:i], '{}', *names[i + 1 :]])}]" for i in range(len(names))]
    return [
        Column(aspect_role(i), name, _ASPECTS, "category", gaps=True, choice=choices[i], categories=words)
        for i, name in enumerate(names)
    ]


def _check_texts(key: str, names: Sequence[object]) -> None:
    odd = next((name for name in names if not isinstance(name, str)), None)
    if odd is not None:
        raise UserError(
            f"{key} must be a list of texts, and holds {odd!r}",
            code="config.wrong-type",
            where=key,
            fix=f"{key}=[a,b], without further brackets",
        )


def _check_aspects(aspects: Sequence[str], others: Sequence[Column]) -> None:
    if not aspects or not all(name.strip() for name in aspects):
        raise UserError(
            f"{_ASPECTS} {'names an aspect without a name' if aspects else 'is empty'}",
            code="config.missing-value",
            where=_ASPECTS,
            fix=f"name the columns of the aspects: {_ASPECTS}=[delivery,price]",
        )
    twice = next((name for name in aspects if aspects.count(name) > 1), None)
    if twice is not None:
        raise UserError(
            f"{_ASPECTS} names {twice!r} twice", code="config.duplicate", where=_ASPECTS, fix="name each column once"
        )
    for column in others:
        if column.name in aspects:
            raise UserError(
                f"{_ASPECTS} names {column.name!r}, which is {column.key}",
                code="config.conflict",
                where=_ASPECTS,
                fix=f"leave {column.name!r} out of {_ASPECTS}",
            )


def _check_values(options: TextAspectsConfig) -> None:
    values = options.values
    if len(values) < 2 or not all(value.strip() for value in values):
        raise UserError(
            f"{_VALUES} has {'an empty value' if len(values) > 1 else f'{len(values)} of at least 2 values'}",
            code="config.missing-value",
            where=_VALUES,
            fix=f"{_VALUES}=[none,negative,neutral,positive], the first for an aspect that is not mentioned",
        )
    told_apart = [folded(value) if options.normalize else value for value in values]
    twice = next((value for value, same in zip(values, told_apart, strict=True) if told_apart.count(same) > 1), None)
    names = output_names(options)
    if twice is None and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
    if twice is not None:
        raise UserError(
            f"{_VALUES} names {twice!r} twice" + " (case and spaces are ignored)" * options.normalize,
            code="config.duplicate",
            where=_VALUES,
            fix="name each value once",
        )


def output_names(options: TextAspectsConfig) -> list[str]:
    """What each output of the model is called, aspect by aspect: "delivery: negative"."""
    return [f"{aspect}: {value}" for aspect in options.aspects for value in options.values]


def targets_of(rows: Rows, options: TextAspectsConfig) -> NDArray[np.int64]:
    """The number of each aspect's value, ``[rows, aspects]``; `IGNORE_INDEX` where it is unknown."""
    return numbers_of([rows.texts(aspect_role(i)) for i in range(len(options.aspects))], options.values)


def numbers_of(columns: Sequence[Sequence[str]], values: Sequence[str]) -> NDArray[np.int64]:
    """The same of the aspects' columns; "" is an unknown value.

    Raises:
        KeyError: A cell holds none of the values.
    """
    numbers = {"": IGNORE_INDEX, **{value: number for number, value in enumerate(values)}}
    found = [[numbers[value] for value in column] for column in columns]
    return np.array(found, dtype=np.int64).reshape(len(columns), -1).T


def counts_of(targets: NDArray[np.int64], values: int) -> NDArray[np.int64]:
    """Rows of each value of each aspect, ``[aspects, values]``."""
    return np.stack([(targets == value).sum(axis=0) for value in range(values)], axis=1)


def value_facts(train: NDArray[np.int64], options: TextAspectsConfig) -> dict[str, str]:
    """How many training rows have each value of each aspect."""
    counts = counts_of(train, len(options.values))
    return {
        f"{aspect} of train rows": ", ".join(f"{n} {value}" for n, value in zip(counts[i], options.values, strict=True))
        for i, aspect in enumerate(options.aspects)
    }


def unknown_facts(targets: Mapping[str, NDArray[np.int64]], aspects: Sequence[str]) -> dict[str, str]:
    """How many rows of each split lack a value of an aspect, for the aspects that have such rows."""
    unknown = {split: (each == IGNORE_INDEX).sum(axis=0) for split, each in targets.items()}
    return {
        f"rows without a value of {aspect}": ", ".join(f"{counts[i]} {split}" for split, counts in unknown.items())
        + " (not learned from, not scored)"
        for i, aspect in enumerate(aspects)
        if any(counts[i] for counts in unknown.values())
    }
