"""The labels' thresholds, chosen on the validation rows and kept in the bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tunebook.statistics.predictions import Predictions
from tunebook.statistics.thresholds import FEW, USUAL, best_threshold


@dataclass(frozen=True)
class Chosen:
    """Thresholds, and the rows that they were chosen on.

    Attributes:
        thresholds: Label -> the probability from which it is given.
        positives: Label -> validation rows that have it.
        rows: Validation rows.
    """

    thresholds: Mapping[str, float]
    positives: Mapping[str, int]
    rows: int

    @classmethod
    def on(cls, validation: Predictions) -> Chosen:
        """Those with the highest F1 of each label on the validation rows."""
        labels, target = validation.labels, validation.target
        found = {label: best_threshold(target[:, i], validation.probabilities[:, i]) for i, label in enumerate(labels)}
        return cls(found, {label: int(target[:, i].sum()) for i, label in enumerate(labels)}, len(target))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def of(cls, several: Mapping[str, Any]) -> Chosen | None:
        """Those of a bundle's manifest; None where its head has a rule of its own."""
        kept = several.get("chosen")
        return None if kept is None else cls(**kept)

    @property
    def notes(self) -> list[str]:
        """What a reader must know of thresholds that could not be chosen."""
        few = [f"{label} ({count})" for label, count in self.positives.items() if count < FEW]
        every = [label for label, count in self.positives.items() if count >= FEW and count == self.rows]
        notes = []
        if few:
            notes.append(
                f"the threshold is {USUAL} for labels that fewer than {FEW} validation rows have: {', '.join(few)}"
            )
        if every:
            notes.append(f"the threshold is {USUAL} for labels that every validation row has: {', '.join(every)}")
        return notes

    @property
    def in_words(self) -> str:
        """The thresholds, for people."""
        return ", ".join(f"{label} {value:.3g}" for label, value in self.thresholds.items())
