"""Evidence of a family whose metrics are formulas of sums over rows; the family says which, and shows its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.config.score import ScoreConfig
from tunebook.data.rows import Rows
from tunebook.files import write_text
from tunebook.recipe import Recipe
from tunebook.report.files import write_metrics
from tunebook.report.page import evidence_page
from tunebook.report.report import Report, Section, render
from tunebook.run_folder import RunFolder
from tunebook.statistics.difference import Difference
from tunebook.statistics.intervals import Score
from tunebook.statistics.label_scores import LabelScores
from tunebook.statistics.sums import RowSums, score
from tunebook.statistics.sums_difference import sums_difference


@dataclass(frozen=True)
class SumsEvidence(ABC):
    """Scores of a model and of its baselines on the same rows, each with its interval; fills in `Evidence`.

    Attributes:
        recipe: Says what is watched.
        rows: Those that were answered; whole groups are resampled where they have any.
        config: How surely.
        seed: Of the resamples.
        facts: What was counted while rows were answered.
        notes: What a reader must know of how it was judged, a sentence each.
        summary: Lines that stand beneath the scores on the terminal.
    """

    recipe: Recipe[Any]
    rows: Rows
    config: ScoreConfig
    seed: int
    facts: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    notes: Sequence[str] = field(default=(), kw_only=True)
    summary: Sequence[str] = field(default=(), kw_only=True)

    @abstractmethod
    def measures(self) -> Mapping[str, Mapping[str, RowSums]]:
        """Model -> metric -> what each row adds to it; the model that the evidence is about comes first."""

    def sections(self) -> Sequence[Section]:
        """What the page shows besides: pictures, tables, mistakes."""
        return ()

    def classes(self) -> Sequence[LabelScores]:
        """Scores of each class, where rows have any."""
        return ()

    @cached_property
    def models(self) -> Mapping[str, Sequence[Score]]:
        """Scores by model, its own first."""
        return {name: [self.score(each) for each in found.values()] for name, found in self.measures().items()}

    def score(self, measure: RowSums) -> Score:
        """A measure with its interval."""
        return score(measure, groups_of(self.rows), **self._settings)

    @property
    def _settings(self) -> dict[str, Any]:
        return {"confidence": self.config.confidence, "resamples": self.config.resamples, "seed": self.seed}

    @property
    def watched(self) -> float:
        """The watched metric of the model."""
        return next(s.value for s in next(iter(self.models.values())) if s.name == self.recipe.watch)

    @cached_property
    def differences(self) -> Mapping[str, Mapping[str, Difference]]:
        """Baseline -> metric -> the model minus the baseline."""
        (_, own), *others = self.measures().items()
        return {
            name: {metric: self._difference(own[metric], each) for metric, each in found.items()}
            for name, found in others
        }

    def _difference(self, own: RowSums, other: RowSums) -> Difference:
        return sums_difference(own, other, groups_of(self.rows), **self._settings)

    def report(self, **details: Any) -> Report:
        """The page, with what the caller knows."""
        title, watch = self.recipe.options.name, self.recipe.watch
        return evidence_page(title, self.models, watch, differences=self.differences, own=self.sections(), **details)

    def write(self, run: RunFolder, report: Report) -> None:
        """metrics.json and report.html; a family writes its predictions.csv besides."""
        (_, own), *others = self.models.items()
        write_metrics(run.metrics, own, dict(others), self.classes(), self.differences)
        write_text(run.report, render(report))


def groups_of(rows: Rows) -> NDArray[Any] | None:
    """The group of each row, ``[rows]``; None where rows are independent of each other."""
    return np.array(rows.texts("group")) if "group" in rows.roles else None
