"""The columns that a recipe reads: each role once, none that is taken, and only config keys that there are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from tunebook.data.columns import Column
from tunebook.data.rows import FILE, LINE
from tunebook.plugins.contract import broken

if TYPE_CHECKING:
    from tunebook.config.schema import DataConfig
    from tunebook.recipe import Recipe


def check_columns(recipe: Recipe[Any], columns: Sequence[Column], data: DataConfig, added: Sequence[str]) -> None:
    """Refuse columns that cannot be read together, or that send whoever lacks one to a config key that is not there.

    Args:
        recipe: The recipe.
        columns: What it reads.
        data: Its ``data`` options.
        added: Roles that its family adds to each row.

    Raises:
        BrokenContract: A role is named twice or taken, a kind is unknown, or a key does not exist.
    """
    kinds = get_args(get_type_hints(Column)["kind"])
    roles = Counter(column.role for column in columns)
    taken = {FILE, LINE, *added}
    options = {"data": _names(data), "recipe": _names(recipe.options)}
    for column in columns:
        role = column.role
        if role in taken:
            what = f"its `columns` call one '{role}', which every row has already"
            raise broken(recipe, "columns", what, f"call its role something else than {', '.join(sorted(taken))}")
        if roles[role] > 1:
            what = f"its `columns` name the role '{role}' {roles[role]} times"
            raise broken(recipe, "columns", what, "give each column a role of its own")
        if column.kind not in kinds:
            what = f"the kind of its column '{role}' is {column.kind!r}"
            raise broken(recipe, "columns", what, f"write one of {', '.join(kinds)}")
        for key in _keys(column):
            group, _, name = key.partition(".")
            if name not in options.get(group, ()):
                what = f"its column '{role}' is chosen by '{key}', and there is no such config key"
                fix = "name a key of data, or an option of the recipe's Config: recipe.<option>"
                raise broken(recipe, "columns", what, fix)


def _keys(column: Column) -> list[str]:
    """The config keys that messages about a column name."""
    typed = re.findall(r"(?:^|\s)([\w.]+)=", column.choice or "")
    return [column.key, *(key for key in typed if key != column.key)]


def _names(options: Any) -> set[str]:
    return {field.name for field in fields(options)}
