"""What a family reports of a model on test rows: scores, differences, pictures, files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tunebook.report.report import Report
from tunebook.run_folder import RunFolder
from tunebook.statistics.intervals import Score


class Evidence(Protocol):
    """Scores of a model and of its baselines on the same rows, and how they are shown."""

    @property
    def models(self) -> Mapping[str, Sequence[Score]]:
        """Scores by model, its own first."""
        ...

    @property
    def watched(self) -> float:
        """The watched metric of the model."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What a reader must know of how it was judged, a sentence each."""
        ...

    @property
    def facts(self) -> Mapping[str, str]:
        """What was counted while rows were answered, such as texts that were cut."""
        ...

    @property
    def summary(self) -> Sequence[str]:
        """Lines that stand beneath the scores on the terminal."""
        ...

    def report(self, **details: Any) -> Report:
        """The page, with what the caller knows: subtitle, notes, data_facts, config_facts, history, split_counts."""
        ...

    def write(self, run: RunFolder, report: Report) -> None:
        """metrics.json, predictions.csv and report.html."""
        ...
