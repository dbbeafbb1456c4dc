"""What a recipe's methods must return, looked at where they are called once; loops over batches stay untouched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebook.data.columns import Column
from tunebook.data.split_column import split_columns
from tunebook.plugins.check_columns import check_columns
from tunebook.plugins.contract import broken

if TYPE_CHECKING:
    from tunebook.config.schema import DataConfig
    from tunebook.data.columns import Column
    from tunebook.data.content import Content
    from tunebook.data.reading import Invalid
    from tunebook.recipe import Recipe


def given(recipe: Recipe[Any], part: str, value: Any, good: bool, wanted: str) -> Any:
    """What a part of a recipe gave, if it is what is wanted.

    Args:
        recipe: The recipe.
        part: The name of its method.
        value: What that returned.
        good: Whether that may be so.
        wanted: What it must be, in words.
    """
    if good:
        return value
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    inner = {type(each).__name__: 0 for each in parts}
    said = f"a {type(value).__name__}{' of ' if inner else ''}{', '.join(inner)}"
    said = repr(value)[:60] if isinstance(value, (str, int, float, type(None))) else said
    raise broken(recipe, part, f"its `{part}` returned {said}", f"return {wanted}")


def are_texts(value: Any) -> bool:
    """Whether it is a list of texts; a single text is none."""
    return isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value)


def columns_of(
    recipe: Recipe[Any], data: DataConfig, content: Content | None = None, further: Sequence[Column] = ()
) -> Sequence[Column]:
    """The columns that a recipe reads, and those that any run may read besides.

    Args:
        recipe: The recipe.
        data: Its ``data`` options, which may name a column of splits.
        content: Adds roles of its own, which none of the columns may have.
        further: Columns that its scores need.
    """
    made = recipe.columns(data)
    found: Sequence[Column] = given(
        recipe,
        "columns",
        made,
        isinstance(made, (list, tuple)) and bool(made) and all(isinstance(c, Column) for c in made),
        "a list of tunebook.data.columns.Column, such as those of super().columns(data) and more",
    )
    others = [*split_columns(data), *further]
    check_columns(recipe, found, data, [*getattr(content, "adds", ()), *(column.role for column in others)])
    return [*found, *others]


def samples_of(recipe: Recipe[Any], cache_dir: str) -> Mapping[str, Path]:
    """The sample rows that a recipe brings."""
    made = recipe.samples(Path(cache_dir))
    wanted = "{split: path}, such as {'train': Path('train.csv')}; {} where there are none"
    found: Mapping[str, Path] = given(recipe, "samples", made, isinstance(made, Mapping), wanted)
    return found


def invalid_of(recipe: Recipe[Any]) -> Invalid:
    """The recipe's own check of a row, whose answer is looked at."""

    def invalid(row: Mapping[str, str]) -> str | None:
        reason = recipe.invalid(row)
        if reason is not None and not (isinstance(reason, str) and reason.strip()):
            given(recipe, "invalid", reason, False, "None, or in words why the row cannot be used")
        return reason

    return invalid


def texts_of(recipe: Recipe[Any], part: str, texts: Any, labels: Sequence[str]) -> list[str]:
    """One text for each label, as a recipe gave them."""
    if isinstance(texts, (list, tuple)) and len(texts) != len(labels):
        what = f"its `{part}` returned {len(texts)} texts for {len(labels)} labels ({', '.join(labels)})"
        raise broken(recipe, part, what, "return a text for each label, in the order of the labels")
    wanted = "a list with a text for each label, in the order of the labels"
    return list(given(recipe, part, texts, are_texts(texts), wanted))
