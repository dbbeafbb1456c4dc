"""The forms that people have briefs in: columns that make one up, or one column that holds it whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunebook.data.columns import Column
from tunebook.data.delimiters import parted_otherwise
from tunebook.errors import UserError
from tunebook.families.brief_to_text.data.brief import CONSTRAINTS
from tunebook.families.brief_to_text.data.structured import CopyStructure
from tunebook.families.text_generation.data.beside import beside_columns

KEY = "recipe.fields"
WHOLE = ("mr", "meaning_representation", "brief")
"""What the column is called that holds briefs whole: in E2E, in GEM, and by the word."""
FIELD, SOURCE, COPY, PART, CONTEXT = "field:", "source", "copy", "part:", "context"
"""Roles as read: of a column that is a field (`FIELD` and its name), of a whole brief, of the copy, of a part of it
(`PART` and its name), of documents."""


@dataclass(frozen=True)
class Constraints:
    """The columns (or keys of a JSON object) with what a brief asks of its copy; None: not read.

    Those that keep the name they have here are read where there are any; one named otherwise must be there.
    """

    must_mention: str | None = "must_mention"
    must_avoid: str | None = "must_avoid"
    channel: str | None = "channel"
    max_characters: str | None = "max_characters"
    max_words: str | None = "max_words"

    def named(self) -> dict[str, str]:
        """Constraint to column."""
        return {name: getattr(self, name) for name in CONSTRAINTS if getattr(self, name)}


@dataclass(frozen=True)
class BriefForm:
    """How rows hold briefs.

    Attributes:
        fields: The columns that make up a brief, in order; or
        brief: the one column that holds it: a JSON object, or a text such as ``name[Tollgate], price[$58]``.
        copy: The column with the copy: a text, or a JSON list of texts.
        constraints: The columns with the constraints.
        context: The column with documents that follow the brief; None: not read.
        structure: What a copy is made of, where it is a JSON object; its parts take the place of the copy's column.
    """

    fields: tuple[str, ...] = ()
    brief: str | None = None
    copy: str = "copy"
    constraints: Constraints = Constraints()
    context: str | None = None
    structure: CopyStructure | None = None

    @property
    def copies(self) -> dict[str, str]:
        """The columns with the copy, by role."""
        parts = self.structure.parts if self.structure else ()
        return {PART + name: name for name in parts} or {COPY: self.copy}


def brief_form(
    fields: Sequence[str] | None,
    brief: str | None,
    copy: str = "copy",
    constraints: Constraints | None = None,
    paths: Sequence[Path] = (),
    delimiter: str | None = None,
    context: str | None = None,
    structure: CopyStructure | None = None,
) -> BriefForm:
    """Say how rows hold briefs, as the config sets it; or as the columns of the files do, where it does not.

    Args:
        fields: The columns that make up a brief (``recipe.fields``).
        brief: The column that holds it whole (``recipe.brief``).
        copy: The column with the copy (``recipe.target_column``).
        constraints: The columns with the constraints (default: the names of `Constraints`).
        paths: The files of all splits: without ``fields`` and ``brief`` each must have one column of `WHOLE`.
        delimiter: What separates the columns of CSV files (default: a comma).
        context: The column with documents (``recipe.context``).
        structure: What a copy is made of (``recipe.target_fields``, ``recipe.schema``).

    Raises:
        UserError: Both or neither are given and no column shows it, or a column is given twice.
    """
    if fields and brief:
        raise UserError(
            f"recipe.brief names the column {brief!r}, and recipe.fields the columns {', '.join(fields)} too",
            code="config.conflict",
            where=KEY,
            fix="set recipe.fields (a column a field) or recipe.brief (one column with the whole brief)",
        )
    form = BriefForm(
        tuple(fields or ()),
        brief or (None if fields else _detected(paths, delimiter)),
        copy,
        constraints or Constraints(),
        context,
        structure,
    )
    _check_names(form)
    return form


def brief_columns(form: BriefForm, group: str | None = None, answered: bool = True) -> list[Column]:
    """The columns that the gate is to read.

    A row may lack some of its fields, and then they are no part of its brief.

    Args:
        form: How rows hold briefs.
        group: Column whose equal values stay on one side of a split.
        answered: Rows have copy; False where it is still to be written.
    """
    target = "recipe.target_column" if COPY in form.copies else "recipe.target_fields"
    # A model that was trained reads the columns it was trained on: only a whole brief may have another name.
    parts = [
        Column(FIELD + name, name, KEY, "any", gaps=True, choice=_with_field(form.fields, number) if answered else "")
        for number, name in enumerate(form.fields)
    ]
    whole = [Column(SOURCE, form.brief, "recipe.brief" if answered else "--text", "any")] if form.brief else []
    usual, fixed = Constraints(), None if answered else ""
    constrained = [
        Column(role, name, f"recipe.{role}", "any", required=name != getattr(usual, role), gaps=True, choice=fixed)
        for role, name in form.constraints.named().items()
    ]
    copy = [Column(role, name, target, "any", gaps=role != COPY) for role, name in form.copies.items() if answered]
    beside = [form.context] if form.context else []
    documents = [Column(CONTEXT, name, "recipe.context", "any", gaps=True, choice=fixed) for name in beside]
    grouped = [Column("group", group, "data.group", "any")] if group else []
    named = [*parts, *whole, *constrained, *documents, *copy, *grouped]
    taken = [column.name for column in named]
    return [*named, *beside_columns(target, answered, context=False, taken=taken)]


def _with_field(fields: Sequence[str], number: int) -> str:
    """What is typed to read another column for one of the fields, and the same ones for the others."""
    return f"{KEY}=[{','.join([*fields[:number], '{}', *fields[number + 1 :]])}]"


def _detected(paths: Sequence[Path], delimiter: str | None) -> str:
    """The one column of `WHOLE` that all files have."""
    from tunebook.families.text_generation.data.peek import column_names

    columns = {path: column_names(path, delimiter) for path in paths}
    for name in WHOLE:
        if columns and all(name in names for names in columns.values()):
            return name
    for path, names in columns.items():
        parted = parted_otherwise(names, path, delimiter)
        if parted is not None:
            raise parted
    listed = "; ".join(f"the columns of {path.name}: {', '.join(names)}" for path, names in columns.items())
    raise UserError(
        "the columns of the brief are not set"
        + (f", and the files have no shared column {_or(WHOLE)}" * bool(columns)),
        code="brief.unknown-columns",
        where=KEY,
        fix="recipe.fields=[name,features] names the columns of the brief, recipe.brief=<column> a single column "
        "with the whole brief" + f"; {listed}" * bool(listed),
    )


def _check_names(form: BriefForm) -> None:
    """Each column is one thing: copy that stands in its own brief would be learned by heart."""
    uses = [(name, "a field of the brief") for name in form.fields]
    uses += [(form.brief, "the brief")] if form.brief else []
    uses += [(name, "the copy" if role == COPY else "a field of the copy") for role, name in form.copies.items()]
    uses += [(form.context, "recipe.context")] if form.context else []
    uses += [(column, f"recipe.{role}") for role, column in form.constraints.named().items()]
    known: dict[str, str] = {}
    for name, use in uses:
        if name in known:
            twice = "named twice" if known[name] == use else f"both {known[name]} and {use}"
            off = f", or set {use}=null to make it a field like others" * use.startswith("recipe.")
            raise UserError(
                f"the column {name!r} is {twice}", code="brief.column-used-twice", where=KEY, fix=f"name it once{off}"
            )
        known[name] = use


def _or(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" or {names[-1]}"
