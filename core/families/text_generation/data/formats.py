"""The formats of conversations, detected from the columns of their files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunebook.data.columns import Column
from tunebook.data.delimiters import parted_otherwise
from tunebook.errors import UserError
from tunebook.families.text_generation.data.beside import DISPREFERRED, PREFERRED
from tunebook.families.text_generation.data.peek import column_names, is_jsonlines
from tunebook.families.text_generation.data.tools import TOOLS
from tunebook.families.text_generation.options import ConversationFormat

KEY = "data.format"


_PAIRS = ((PREFERRED, DISPREFERRED), ("preferred_output", "non_preferred_output"))
"""Columns with an answer to learn and one to avoid: TRL's names, and OpenAI's."""


@dataclass(frozen=True)
class Shape:
    """The columns of a form: those that make it one, those it may have, and the one with the answer alone."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    answer: str = ""

    def needed(self, answered: bool) -> tuple[str, ...]:
        """The columns that make it one; the answer's is not needed where it is yet to be given."""
        return tuple(name for name in self.required if answered or name != self.answer)


SHAPES: Mapping[ConversationFormat, Shape] = {
    ConversationFormat.messages: Shape(("messages",), (TOOLS,)),
    ConversationFormat.sharegpt: Shape(("conversations",), ("system", TOOLS)),
    ConversationFormat.alpaca: Shape(("instruction", "output"), ("input", "system", "history", TOOLS), "output"),
    ConversationFormat.prompt_completion: Shape(("prompt", "completion"), (TOOLS,), "completion"),
}


_TEXTS = ("instruction", "input", "output", "system")
"""Columns that hold a text each: a list there is no answer but several, such as a pair of preferences."""


@dataclass(frozen=True)
class Detected:
    """What the columns of files say.

    Attributes:
        format: The form that all of them have.
        present: The columns of that form to read. Of JSON Lines, where any line may be the first to have a key, these
            are all that the form knows.
    """

    format: ConversationFormat
    present: tuple[str, ...]


def detect_format(
    paths: Sequence[Path],
    wanted: ConversationFormat | None = None,
    answered: bool = True,
    delimiter: str | None = None,
) -> Detected:
    """Detect the format of conversations from the columns of their files.

    Args:
        paths: The files of all splits.
        wanted: What the user says they are (``data.format``): only whether the columns are there is looked at.
        answered: Whether the rows hold the answers too; else they wait for them.
        delimiter: What separates the columns of CSV files (default: a comma).

    Raises:
        UserError: A file cannot be read, is of no form or lacks a column of the one wanted; or the files are of
            several forms, or each of more than one.
    """
    columns = {path: column_names(path, delimiter) for path in paths}
    found = _agreed(columns, answered, delimiter) if wanted is None else wanted
    shape = SHAPES[found]
    for path, names in columns.items():
        missing = [name for name in shape.needed(answered) if name not in names]
        if missing:
            parted = parted_otherwise(names, path, delimiter)
            if parted is not None:
                raise parted
            lacking = " and no column ".join(map(repr, missing))
            raise UserError(
                f"{path.name} has no column {lacking}, which {KEY}={found.name} needs",
                code="data.missing-column",
                where=str(path),
                fix=f"its columns: {', '.join(names)}; {_needs()}",
            )
    known = set().union(*columns.values(), *(shape.optional for path in paths if is_jsonlines(path)))
    return Detected(found, tuple(name for name in (*shape.needed(answered), *shape.optional) if name in known))


def format_columns(
    format: ConversationFormat, present: Collection[str] | None = None, answered: bool = True
) -> list[Column]:
    """The columns that hold a conversation; each has its name as role.

    Args:
        format: The form of the rows.
        present: The columns that the files have (`Detected.present`); optional ones besides are not read.
            None: all are read where they are.
        answered: Whether the rows hold the answers too.
    """
    shape = SHAPES[format]
    optional = [name for name in shape.optional if present is None or name in present]
    return [
        *(Column(name, name, KEY, "any", plain=name in _TEXTS) for name in shape.needed(answered)),
        *(Column(name, name, KEY, "any", required=False, plain=name in _TEXTS) for name in optional),
    ]


def _agreed(columns: Mapping[Path, Sequence[str]], answered: bool, delimiter: str | None) -> ConversationFormat:
    """The one form that fits the columns of every file."""
    fitting = {path: _fitting(names, answered) for path, names in columns.items()}
    common = set(SHAPES).intersection(*fitting.values())
    if len(common) == 1:
        return common.pop()
    for path, formats in fitting.items():
        if not formats:
            listing = ", ".join(columns[path])
            what = f"{path.name} has conversations in an unknown format; its columns: {listing}"
            parted = parted_otherwise(columns[path], path, delimiter)
            if parted is not None:
                raise parted.replace(what=what)
            for good, bad in _PAIRS:
                if not {good, bad} <= set(columns[path]):
                    continue
                name = "completion" if "prompt" in columns[path] else "messages"
                raise UserError(
                    f"{path.name} holds pairs of a preferred and a rejected answer, which cannot be trained on",
                    code="conversation.preference-pairs",
                    where=str(path),
                    fix=f"keep the preferred answers only: rename the column {good!r} to '{name}', and remove {bad!r}"
                    + ("; or learn from both: objective=dpo" if (good, bad) == _PAIRS[0] else ""),
                )
            fix = f"rename its columns: {_needs()}"
            raise UserError(what, code="conversation.unknown-format", where=str(path), fix=fix)
    if common:
        forms = [format for format in SHAPES if format in common]
        path = next(iter(columns))
        raise UserError(
            f"the columns of {path.name} fit more than one format: {', '.join(columns[path])}",
            code="conversation.ambiguous-format",
            where=KEY,
            fix=f"set one of: {' or '.join(f'{KEY}={form.name}' for form in forms)}",
        )
    one, *others = fitting
    odd = next(path for path in others if fitting[path] != fitting[one])
    raise UserError(
        f"{one.name} and {odd.name} have conversations in different formats: {_listed(fitting[one])} and "
        f"{_listed(fitting[odd])}",
        code="conversation.mixed-formats",
        where=KEY,
        fix="convert all files to one format",
    )


def _fitting(names: Collection[str], answered: bool) -> list[ConversationFormat]:
    return [format for format, shape in SHAPES.items() if set(shape.needed(answered)) <= set(names)]


def _listed(formats: Sequence[ConversationFormat]) -> str:
    return " or ".join(format.name for format in formats)


def _needs() -> str:
    """What each form needs, in one sentence."""
    return "; ".join(f"{KEY}={format.name} needs {' and '.join(shape.required)}" for format, shape in SHAPES.items())
