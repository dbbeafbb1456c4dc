"""What is known of a pre-trained model: its scores on the test rows, and its curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tunebook.files import write_text
from tunebook.report.files import write_metrics
from tunebook.report.page import evidence_page
from tunebook.report.report import render

if TYPE_CHECKING:
    from tunebook.recipe import Recipe
    from tunebook.report.report import Report
    from tunebook.run_folder import RunFolder
    from tunebook.statistics.intervals import Score


@dataclass(frozen=True)
class PretrainingEvidence:
    """Scores of one model.

    Attributes:
        recipe: Says which of them is watched.
        scores: On the test rows.
        counted: What a score's n counts, such as "test blocks".
        facts: What else is to be said of the model.
    """

    recipe: Recipe[Any]
    scores: Sequence[Score]
    counted: str
    facts: Mapping[str, str]
    notes: Sequence[str] = field(default=(), init=False)
    summary: Sequence[str] = field(default=(), init=False)

    @property
    def models(self) -> Mapping[str, Sequence[Score]]:
        """The one model."""
        return {"pre-trained": self.scores}

    @property
    def watched(self) -> float:
        """The watched metric."""
        return next(score.value for score in self.scores if score.name == self.recipe.watch)

    def report(self, **details: Any) -> Report:
        """Scores, curve and facts."""
        return evidence_page(self.recipe.options.name, self.models, self.recipe.watch, counted=self.counted, **details)

    def write(self, run: RunFolder, report: Report) -> None:
        """metrics.json and report.html; there are no answers to list."""
        write_metrics(run.metrics, self.scores, {})
        write_text(run.report, render(report))
