"""Rows to be labelled next: which models pick them, and how people see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tunebook.errors import UserError


@dataclass(frozen=True)
class Shown:
    """How picked rows are written, in a table and as tasks of Label Studio.

    Attributes:
        role: Of what people look at.
        heading: What the table calls it.
        keys: What a task calls it; the first one is what the labelling interface shows.
        beside: Role -> column, of what is written beside it.
        in_tasks: The same, of what only tasks have.
    """

    role: str
    heading: str
    keys: Sequence[str]
    beside: Mapping[str, str] = field(default_factory=dict)
    in_tasks: Mapping[str, str] = field(default_factory=dict)


def not_picked_for(what: str, folder: Path) -> UserError:
    """The error for a model that picks no rows; ``what`` it is, without a full stop."""
    return UserError(
        f"{what}; rows are picked for classifiers of texts or images with one label a row.",
        code="pick.wrong-model",
        where=str(folder),
        fix="give a run of a text or image classification recipe, tuned on the first labels",
    )
