"""What a recipe needs of a row: its columns, declared once and checked everywhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tunebook.config.texts import TextDataConfig
from tunebook.data.categories import Categories
from tunebook.data.file_source import FileSource
from tunebook.data.text_template import TextTemplate, is_with, with_role
from tunebook.errors import UserError

TEXT, PAIR = "text", "text_pair"
"""Roles of the first and the second text."""


@dataclass(frozen=True)
class Column:
    """One column that a recipe reads.

    Attributes:
        role: What the recipe calls it: "text", "label", "group" or a name of its own.
        name: What the file calls it.
        key: The config key that holds ``name``, for messages ("data.text").
        kind: "text" must hold more than white space, "label" must name a class, "file" must be the path of a file,
            "flag" must say yes or no (1, 0, true, false; handed on as "1" and "0"), "number" must be a finite number
            with a decimal point (handed on written one way), "labels" lists any number of labels, a blank one none
            (handed on as a JSON list), "category" must be one of the words of ``categories``, "split" must name a split
            (see `tunebook.data.split_column`), "any" is handed on as it is (lists and objects of JSON Lines or Parquet
            as JSON text).
        required: A row without a value is rejected; a file without the column is an error.
        gaps: A row without a value is kept all the same.
        choice: What is typed to read another column, with ``{}`` for its name (default: ``key={}``); "" where nothing
            can be, and the file has to call it ``name``.
        files: Of a "file": how the family finds and reads such files.
        root: What the paths in a "file" column are relative to (default: the folder of the file that names them).
        plain: Lists and objects of an "any" are rejected: a list of texts is no text.
        template: Of a text: how it is put together with the columns beside it, which are then left out of the rows.
        watched: Only looked at, to refuse rows with certain values; it still counts as not read.
        separator: Of "labels": what separates them in a cell that is no list.
        categories: Of a "category": the words that a cell may hold.
    """

    role: str
    name: str
    key: str
    kind: Literal["text", "label", "labels", "file", "flag", "number", "category", "split", "any"]
    required: bool = True
    gaps: bool = False
    choice: str | None = None
    files: FileSource | None = None
    root: str | None = None
    plain: bool = False
    template: TextTemplate | None = None
    watched: bool = False
    separator: str = ";"
    categories: Categories | None = None

    def __post_init__(self) -> None:
        """A path is of no use to whoever does not know how such files are found, nor a category without its words."""
        assert (self.kind == "file") == (self.files is not None)
        assert (self.kind == "category") == (self.categories is not None)

    @property
    def nested(self) -> bool:
        """Whether lists and objects are handed on."""
        return self.kind == "labels" or (self.kind == "any" and not self.plain)

    def chosen(self, name: str) -> str:
        """What is typed in a shell to read the column of another name; "" where nothing can be."""
        plain = not name or name == "<column>" or re.fullmatch(r"[\w./-]+", name)
        if self.choice is not None:
            return self.choice.replace("{}", name if plain else shlex.quote(name))
        return f"{self.key}={name}" if plain else _quoted(self.key, name)


def _quoted(key: str, name: str) -> str:
    """An override whose value has spaces or signs, for Hydra and for the shell."""
    said = f"{key}='" + name.replace("'", "\\'") + "'"
    return shlex.quote(said) if re.search(r'["$`\\!]', said) else f'"{said}"'


def read_names(columns: Sequence[Column]) -> set[str]:
    """What the file calls the columns that are read, those that are only watched left out."""
    return {column.name for column in columns if not column.watched}


def check_names(data: Any) -> None:
    """Refuse an empty text for the name of a column: the column that pandas writes without a name is none to choose.

    Args:
        data: The ``data`` part of a config.

    Raises:
        UserError: There is one.
    """
    for name in ("text", "text_pair", "image", "label", "split", "group", "facts", "context"):
        if getattr(data, name, None) == "":
            raise UserError(
                f"data.{name} names no column.",
                code="config.missing-value",
                where=f"data.{name}",
                fix=f"data.{name}=<column>, or leave it out",
            )


def first_role(columns: Sequence[Column], kind: str) -> str | None:
    """The role of the first required column of that kind, or None."""
    return next((column.role for column in columns if column.kind == kind and column.required), None)


def text_columns(data: TextDataConfig) -> list[Column]:
    """The text, the second text where a column is named for it, and the columns that are written before the text.

    Raises:
        UserError: As `TextTemplate.of`, or there is a template and no column for it.
    """
    template = template_of(data)
    columns = [Column(TEXT, data.text, "data.text", "text", template=template)]
    if data.text_pair is not None:
        columns.append(Column(PAIR, data.text_pair, "data.text_pair", "text"))
    return columns + with_columns(template, "data.text_with")


def template_of(data: TextDataConfig) -> TextTemplate | None:
    """How the text and the columns beside it become one; None where the text stands alone.

    Raises:
        UserError: As `TextTemplate.of`, or there is a template and no column for it.
    """
    if data.text_with:
        taken = {"data.text": data.text, "data.text_pair": data.text_pair, "data.label": getattr(data, "label", None)}
        return TextTemplate.of(data.text_with, data.text_template, taken)
    if data.text_template is not None:
        raise UserError(
            "data.text_template has no effect without data.text_with",
            code="config.conflict",
            where="data.text_template",
            fix="data.text_with=[<column>]",
        )
    return None


def with_columns(template: TextTemplate | None, key: str) -> list[Column]:
    """The columns that a template writes before a text; an empty cell is no reject.

    Args:
        template: The template; None for no columns.
        key: The config key that names them; "" where nothing does, and the file has to call them so.
    """
    names = list(template.columns) if template is not None else []
    choices = [f"{key}=[{','.join([*names[:i], '{}', *names[i + 1 :]])}]" if key else "" for i in range(len(names))]
    return [
        Column(with_role(i), name, key, "any", gaps=True, choice=choices[i], plain=True) for i, name in enumerate(names)
    ]


def group_columns(group: str | None) -> list[Column]:
    """The column whose equal values mark dependent rows, where one is named."""
    return [] if group is None else [Column("group", group, "data.group", "any")]


def text_names(data: TextDataConfig) -> dict[str, str]:
    """Role -> column, of the text, the second text and the columns beside it: what a bundle keeps."""
    return {column.role: column.name for column in text_columns(data)}


def new_text_columns(columns: Mapping[str, str], text: str | None, template: str | None = None) -> list[Column]:
    """The columns of rows to be answered, by their names in training.

    Args:
        columns: Role -> column.
        text: Another name of the text's column.
        template: How the text is put together with the columns beside it.
    """
    whole = None if template is None else TextTemplate(template, with_names(columns))
    found = [Column(TEXT, text or columns[TEXT], "--text", "text", template=whole)]
    if PAIR in columns:
        found.append(Column(PAIR, columns[PAIR], "", "text", choice=""))
    return found + with_columns(whole, "")


def with_names(columns: Mapping[str, str]) -> tuple[str, ...]:
    """The columns beside the text, given role -> column."""
    return tuple(name for role, name in columns.items() if is_with(role))
