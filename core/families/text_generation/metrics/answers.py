"""What a model wrote on rows whose good answers are known."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class GeneratedAnswers:
    """One written answer a row, with the identity of the row it belongs to."""

    prompts: list[str]
    """The prompt, as a person reads it."""
    references: list[list[str]]
    """Good answers to each row: one or several."""
    outputs: list[str]
    """The model's answer; may be empty."""
    files: list[str]
    """Source file of each row."""
    lines: list[int]
    """Line (or index) in that file of each row."""
    groups: NDArray[Any] | None = None
    """Conversation or brief of each row, `[rows]`: turns of one conversation are not independent."""
    facts: list[list[str]] | None = None
    """Facts that each answer must state; may be empty for a row, None where no row has any."""

    def __post_init__(self) -> None:
        rows = len(self.outputs)
        columns: list[Sized] = [self.prompts, self.references, self.files, self.lines]
        columns += [column for column in (self.groups, self.facts) if column is not None]
        if any(len(column) != rows for column in columns):
            raise ValueError(f"every column must have {rows} rows, one for each output")
        if not all(self.references):
            raise ValueError("every row needs a reference")
        if any(not fact.strip() for facts in self.facts or [] for fact in facts):
            raise ValueError("a fact cannot be blank")

    def __len__(self) -> int:
        return len(self.outputs)

    def take(self, wanted: Sequence[int] | NDArray[np.int64]) -> GeneratedAnswers:
        """Those of these rows."""
        return GeneratedAnswers(
            prompts=[self.prompts[i] for i in wanted],
            references=[self.references[i] for i in wanted],
            outputs=[self.outputs[i] for i in wanted],
            files=[self.files[i] for i in wanted],
            lines=[self.lines[i] for i in wanted],
            groups=None if self.groups is None else self.groups[list(wanted)],
            facts=None if self.facts is None else [self.facts[i] for i in wanted],
        )

    def same_rows(self, other: GeneratedAnswers) -> bool:
        """Whether the other outputs answer the same rows in the same order."""
        return (
            self.prompts == other.prompts
            and self.references == other.references
            and (self.facts or [[]] * len(self)) == (other.facts or [[]] * len(other))
            and (self.groups is None) == (other.groups is None)
            and (self.groups is None or np.array_equal(self.groups, other.groups))  # type: ignore[arg-type]
        )
