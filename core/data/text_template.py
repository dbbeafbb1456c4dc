"""One text of several columns: the cells of a row are written before its text by a template."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter

from tunebook.errors import UserError

MISSING = "not given"
"""What stands for an empty cell."""
TEXT_PLACE = "text"
"""The place of the text itself, whatever its column is called."""
_WITH = "with "
_COLUMNS, _TEMPLATE = "data.text_with", "data.text_template"


def with_role(number: int) -> str:
    """The role of a column that is written before the text."""
    return f"{_WITH}{number}"


def is_with(role: str) -> bool:
    """Whether a role is that of such a column."""
    return role.startswith(_WITH)


@dataclass(frozen=True)
class TextTemplate:
    """How a text and the columns beside it become the text that a model reads.

    Attributes:
        template: Text with places, as Python's ``str.format`` has them: "product: {product}. {text}".
        columns: The columns beside the text, in the order of their roles.
    """

    template: str
    columns: tuple[str, ...]

    @classmethod
    def of(cls, columns: Sequence[str], template: str | None, taken: Mapping[str, str | None]) -> TextTemplate:
        """That of a config or a bundle, checked.

        Args:
            columns: The columns beside the text.
            template: The template, with a backslash and an n for a line break. None: each column by its name, then
                the text.
            taken: Config key -> column that is read for another purpose.

        Raises:
            UserError: A column is named twice, is read for another purpose, or cannot be a place; the template does
                not name all columns and the text, or others.
        """
        _check_columns(columns, taken)
        if template is None:
            template = "".join(f"{name}: {{{name}}}. " for name in columns).rstrip() + "\n{" + TEXT_PLACE + "}"
        made = cls(template.replace("\\n", "\n"), tuple(columns))
        made.check()
        return made

    def write_texts(self, values: dict[str, list[str | None]], empty: Counter[str]) -> None:
        """Put the whole texts of checked rows in the place of their texts, and leave the columns beside them out.

        Args:
            values: Role to one value a row.
            empty: Counts the empty cells of each column.
        """
        cells = {name: values.pop(with_role(i)) for i, name in enumerate(self.columns)}
        for name, column in cells.items():
            empty[name] += sum(cell is None for cell in column)
        cells[TEXT_PLACE] = values[TEXT_PLACE]
        parts = [(before, cells[place] if place is not None else None) for before, place, _, _ in self._parsed()]
        values[TEXT_PLACE] = [
            "".join(before + ((column[row] or MISSING) if column is not None else "") for before, column in parts)
            for row in range(len(values[TEXT_PLACE]))
        ]

    def in_python(self, text: str) -> str:
        """The line of Python that makes the text of ``row``, a dict of column to cell; ``text`` names its column."""
        row = "row" if text == TEXT_PLACE else f'{{**row, "{TEXT_PLACE}": row[{text!r}]}}'
        return f'{self.template!r}.format(**{{name: cell or "{MISSING}" for name, cell in {row}.items()}})'

    def _parsed(self) -> list[tuple[str, str | None, str | None, str | None]]:
        return list(Formatter().parse(self.template))

    def check(self) -> None:
        """Refuse a template that does not name the text and all columns, or names something else."""
        known = [*self.columns, TEXT_PLACE]
        listed = " ".join(f"{{{name}}}" for name in known)
        try:
            parsed = self._parsed()
        except ValueError as error:
            raise _wrong_template(f"{_TEMPLATE} cannot be read: {error}", listed) from None
        places = [place for _, place, _, _ in parsed if place is not None]
        odd = next((p for _, p, form, how in parsed if p is not None and (p not in known or form or how)), None)
        if odd is not None:
            raise _wrong_template(f"{_TEMPLATE} has the place {{{odd}}}, which is no column of {_COLUMNS}", listed)
        left = [name for name in known if name not in places]
        if left:
            raise _wrong_template(f"{_TEMPLATE} has no place for {', '.join(left)}", listed)


def _check_columns(columns: Sequence[str], taken: Mapping[str, str | None]) -> None:
    for name in columns:
        if columns.count(name) > 1:
            raise UserError(
                f"{_COLUMNS} names {name!r} twice", code="config.duplicate", where=_COLUMNS, fix="name it once"
            )
        key = next((key for key, other in taken.items() if other == name), None)
        if key is not None:
            raise UserError(
                f"{_COLUMNS} names {name!r}, which is {key}",
                code="config.conflict",
                where=_COLUMNS,
                fix=f"leave {name!r} out of {_COLUMNS}",
            )
        if not name.strip() or name == TEXT_PLACE or name.isdigit() or re.search(r"[.\[\]{}!:]", name):
            raise UserError(
                f"{_COLUMNS} names {name!r}, which cannot be a place of {_TEMPLATE}",
                code="config.bad-template",
                where=_COLUMNS,
                fix=f"rename the column: letters, not the name {TEXT_PLACE}, without . : ! and brackets",
            )


def _wrong_template(what: str, listed: str) -> UserError:
    return UserError(
        what,
        code="config.bad-template",
        where=_TEMPLATE,
        fix=f"write each of {listed} where it belongs; braces that are no place are doubled: {{{{ }}}}",
    )


def empty_notes(empty: Mapping[str, int]) -> list[str]:
    """Say how many rows lack a cell that is part of their text."""
    counts = [f"{name} in {count} rows" for name, count in empty.items() if count]
    return [f"empty cells of the columns beside the text read {MISSING!r}: {', '.join(counts)}"] if counts else []
