"""The columns of preferences: a prompt with a chosen and a rejected answer, or an answer and whether it is good."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tunebook.config.schema import Objective
from tunebook.data.columns import Column, group_columns
from tunebook.data.delimiters import parted_otherwise
from tunebook.data.paths import resolve_paths
from tunebook.errors import UserError
from tunebook.families.text_generation.data.beside import beside_columns
from tunebook.families.text_generation.data.peek import column_names
from tunebook.families.text_generation.options import ConversationData

PROMPT, CHOSEN, REJECTED, ANSWER, GOOD = "prompt", "chosen", "rejected", "answer", "good"
COLUMNS: Mapping[Objective, tuple[str, ...]] = {
    Objective.dpo: (PROMPT, CHOSEN, REJECTED),
    Objective.kto: (PROMPT, ANSWER, GOOD),
}
"""By objective; each is its own role."""
KEY = "data.train"


def preference_columns(objective: Objective, data: ConversationData) -> list[Column]:
    """The columns that an objective reads, looked for in the files of all splits.

    Raises:
        UserError: A file cannot be read or lacks one; the message says so where it has those of the other objective.
    """
    for split in ("train", "validation", "test"):
        spec = getattr(data, split)
        for path in resolve_paths(spec, f"data.{split}") if spec is not None else ():
            _check_file(path, objective, data.delimiter)
    return [
        *(Column(name, name, KEY, "any", choice="") for name in COLUMNS[objective]),
        *beside_columns(KEY, answered=False, tools=False),
        *group_columns(data.group),
    ]


def _check_file(path: Path, objective: Objective, delimiter: str | None) -> None:
    names = column_names(path, delimiter)
    missing = [name for name in COLUMNS[objective] if name not in names]
    if not missing:
        return
    if (parted := parted_otherwise(names, path, delimiter)) is not None:
        raise parted
    needs = {name.name: " and ".join((", ".join(columns[:2]), columns[2])) for name, columns in COLUMNS.items()}
    other = next((name for name, columns in COLUMNS.items() if set(columns) <= set(names)), None)
    lacking = " and no column ".join(map(repr, missing))
    raise UserError(
        f"{path.name} has no column {lacking}, which objective={objective.name} needs",
        code="data.missing-column",
        where=str(path),
        fix=f"objective={other.name}, which these columns are for"
        if other
        else f"its columns: {', '.join(names)}; objective={objective.name} needs {needs[objective.name]}",
    )
