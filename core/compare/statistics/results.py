"""What one rung of a ladder came to: its score, what it cost, and what each test row got."""

from __future__ import annotations

from dataclasses import dataclass

from tunebook.statistics.intervals import Score
from tunebook.statistics.outcomes import Outcome


@dataclass(frozen=True)
class Cost:
    """What one run of a rung takes."""

    seconds: float
    """Wall-clock time of a typical (median) run, training and scoring."""
    peak_memory: float
    """Most resident memory of that process, MiB."""
    trained_parameters: int | None
    """Numbers that training moves; None where nothing of the kind is known."""
    saved_bytes: int
    """Size of what is saved for use: the bundle's weights."""
    device_memory: float = 0.0
    """Most memory of a GPU, MiB; 0 where none was used."""
    training_rows: int | None = None
    """Labelled rows that it learns from, 0 for none; None if unknown."""


@dataclass(frozen=True, eq=False)
class RungResult:
    """One system of the ladder, over all its seeds or draws."""

    name: str
    """Short: `majority`, `classical`, `few_shot_16`, `head`, `lora`, `full` ...; of several models with its own."""
    title: str
    """In words for a reader."""
    score: Score
    """The watched metric: mean over seeds, interval over test rows (`rung_score.score_of_rung`)."""
    by_seed: tuple[float, ...]
    """The watched metric of each seed or draw; one value where there is nothing random."""
    cost: Cost
    outcomes: tuple[Outcome, ...]
    """What the test rows got, of each seed or draw."""
    unfit: str = ""
    """Why nobody should ship it, whatever it scores; "" if there is no such reason."""
    model: str = ""
    """Label of its model, where several are compared; "" of what needs no model."""

    @property
    def shown(self) -> str:
        """What it is called where there is little room; of several models the short name, which ends in the model's."""
        return self.name if self.model else self.title
