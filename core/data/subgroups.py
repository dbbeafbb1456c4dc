"""The columns whose values are scored separately, and the two groups of rows whose scores are compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunebook.config.score import GapScoreConfig, ScoreConfig, SubgroupScoreConfig
from tunebook.data.columns import Column
from tunebook.data.rows import Rows
from tunebook.errors import UserError

GAP = "gap"
"""Role of the column that `evaluation.gap` names."""
_KEY, _GAP_KEY = "evaluation.subgroups", "evaluation.gap"


def subgroup_role(number: int) -> str:
    """The role of a subgroup's column."""
    return f"subgroup {number}"


def subgroup_columns(names: Sequence[str], key: str, required: bool = True) -> list[Column]:
    """Columns whose values are scored separately; a row without a value is kept."""
    choices = [f"{key}=[{','.join([*names[:i], '{}', *names[i + 1 :]])}]" for i in range(len(names))]
    return [
        Column(subgroup_role(i), name, key, "any", required, gaps=True, choice=choices[i])
        for i, name in enumerate(names)
    ]


def scored_columns(config: ScoreConfig) -> list[Column]:
    """What the scores of a run read of its rows besides."""
    columns = subgroup_columns(config.subgroups, _KEY) if isinstance(config, SubgroupScoreConfig) else []
    if isinstance(config, GapScoreConfig) and config.gap is not None:
        name, *values = config.gap
        choice = f"{_GAP_KEY}=[{','.join(['{}', *values])}]"
        columns.append(Column(GAP, name, _GAP_KEY, "any", gaps=True, choice=choice))
    return columns


def check_scored(config: ScoreConfig) -> None:
    """Refuse subgroups and a gap that name nothing, or one thing twice.

    Raises:
        UserError: As it says.
    """
    if isinstance(config, SubgroupScoreConfig):
        names = config.subgroups
        _refuse_empty(names, _KEY)
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UserError(f"{_KEY} names {twice!r} twice", code="config.duplicate", where=_KEY, fix="name it once")
    if isinstance(config, GapScoreConfig) and config.gap is not None:
        parts: Sequence[Any] = config.gap
        if len(parts) != 3 or not all(isinstance(part, str) for part in parts):
            raise UserError(
                f"{_GAP_KEY} must be a column and two of its values, "
                + (f"and has {len(parts)} parts" if len(parts) != 3 else f"not {list(parts)}"),
                code="config.wrong-type",
                where=_GAP_KEY,
                fix=f"{_GAP_KEY}=[<column>,<value>,<value>], such as [language,de,en]",
            )
        _refuse_empty(config.gap[:1], _GAP_KEY)
        if config.gap[1] == config.gap[2]:
            raise UserError(
                f"{_GAP_KEY} compares {config.gap[1]!r} with itself",
                code="config.duplicate",
                where=_GAP_KEY,
                fix="name two values",
            )


def check_gap(rows: Rows, config: ScoreConfig) -> None:
    """Refuse a gap between groups of which the test rows have none.

    Raises:
        UserError: No row has one of the two values; those that there are, are named.
    """
    if not isinstance(config, GapScoreConfig) or config.gap is None:
        return
    name, *wanted = config.gap
    held = dict.fromkeys(rows.texts(GAP))
    absent = next((value for value in wanted if value not in held), None)
    if absent is not None:
        known = [value for value in sorted(held) if value]
        listed = ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")
        raise UserError(
            f"no test row has {name} {absent!r}",
            code="config.unknown-choice",
            where=_GAP_KEY,
            fix=f"choose from: {listed}" if listed else "name another column",
        )


def values_of(rows: Rows, names: Sequence[str]) -> dict[str, list[str]]:
    """Column -> its value in each row, "" where there is none; of the subgroups that the rows have."""
    roles = {name: subgroup_role(i) for i, name in enumerate(names)}
    return {name: rows.texts(role) for name, role in roles.items() if role in rows.roles}


def _refuse_empty(names: Sequence[Any], key: str) -> None:
    odd = next((name for name in names if not isinstance(name, str)), None)
    if odd is not None:
        raise UserError(
            f"{key} names {odd!r}, which is no column.",
            code="config.wrong-type",
            where=key,
            fix=f"{key}=[<column>], or leave it out",
        )
    if any(not name.strip() for name in names):
        raise UserError(
            f"{key} names no column.",
            code="config.missing-value",
            where=key,
            fix=f"{key}=[<column>], or leave it out",
        )
