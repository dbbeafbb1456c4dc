"""What the tasks of an export of Label Studio hold: keys of their data, and what its controls say."""

from __future__ import annotations

import mimetypes
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunebook.data.chunks import missing_column
from tunebook.data.columns import Column
from tunebook.errors import UserError


class Found:
    """What the tasks have: keys of their data, controls with choices, and results of other kinds by control."""

    def __init__(self) -> None:
        self.names: dict[str, None] = {}
        self.others: dict[str, str] = {}
        self.results: Counter[str] = Counter()
        self.data: set[str] = set()
        self.images: set[str] = set()

    def add_other(self, control: str | None, kind: str) -> None:
        """A result that is no choice; a relation has no control."""
        self.others[control or kind] = kind
        self.results[f"{control} ({kind})" if control else kind] += 1

    def add_data(self, data: dict[str, Any]) -> None:
        """The keys of a task, and those that hold images."""
        self.names.update(dict.fromkeys(data))
        for name, value in data.items():
            self.data.add(name)
            if isinstance(value, str) and (mimetypes.guess_type(value)[0] or "").startswith("image/"):
                self.images.add(name)

    def check(self, columns: Sequence[Column], path: Path) -> None:
        """Refuse columns that no task has.

        Raises:
            UserError: There is one.
        """
        for column in columns:
            if not column.required or column.name in self.names:
                continue
            if column.kind in ("label", "labels") and self.others:
                kinds = ", ".join(f"{name} ({kind})" for name, kind in self.others.items())
                raise UserError(
                    f"{path.name} has no choices named {column.name!r}: its annotations are {kinds}",
                    code="data.no-choices",
                    where=f"{column.key}, {path}",
                    fix="a label is a control of the kind Choices: export a project that has one",
                )
            if column.kind == "text" and self.data and self.data <= self.images:
                raise UserError(
                    f"{path.name} has images and no texts: its tasks hold {', '.join(sorted(self.images))}",
                    code="data.missing-column",
                    where=f"{column.key}, {path}",
                    fix="read it with a recipe of images, or a model tuned by one; "
                    f"its columns: {', '.join(self.names)}",
                )
            raise missing_column(column, path, list(self.names))
