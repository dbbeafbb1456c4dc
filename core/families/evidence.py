"""What a family reports of a model on test rows: scores, differences, pictures, files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.families.strata import Strata, StrataScores
from tunebook.families.strata import resampling as resampling
from tunebook.files import write_text
from tunebook.recipe import Recipe
from tunebook.report.files import write_metrics
from tunebook.report.page import evidence_page
from tunebook.report.report import Report, Section, Table, render
from tunebook.report.tables import counts_table
from tunebook.run_folder import RunFolder
from tunebook.statistics.difference import Difference
from tunebook.statistics.intervals import Score
from tunebook.statistics.label_scores import LabelScores
from tunebook.statistics.subgroups import Part


@dataclass(frozen=True)
class Evidence(ABC):
    """Scores of a model and of its baselines on the same rows, and how they are shown.

    Attributes:
        recipe: Says what is watched.
        facts: What was counted while rows were answered, such as texts that were cut.
        notes: What a reader must know of how it was judged, a sentence each.
        summary: Lines that stand beneath the scores on the terminal.
        missing: Baseline that could not be had -> why.
        strata: How the rows fall into groups whose scores are asked for.
    """

    recipe: Recipe[Any]
    facts: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    notes: Sequence[str] = field(default=(), kw_only=True)
    summary: Sequence[str] = field(default=(), kw_only=True)
    missing: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    strata: Strata = field(default_factory=Strata, kw_only=True)

    @property
    def all_notes(self) -> list[str]:
        """The notes, and which baselines there are not."""
        return [*self.notes, *(f"there is no {name} score: {why}" for name, why in self.missing.items())]

    @property
    @abstractmethod
    def models(self) -> Mapping[str, Sequence[Score]]:
        """Scores by model, its own first."""

    @property
    def differences(self) -> Mapping[str, Mapping[str, Difference]]:
        """Baseline -> metric -> the model minus the baseline."""
        return {}

    def part(self, rows: NDArray[np.int64]) -> Part:
        """The watched metric of these of its rows alone, ``[n]``; for families that have ``evaluation.subgroups``."""
        raise NotImplementedError

    def together(self, others: Sequence[Any]) -> Mapping[str, float]:
        """Each metric of its rows and those of others of its kind; of families that have several ways in few shots."""
        raise NotImplementedError

    @cached_property
    def groups_of_rows(self) -> StrataScores:
        """The watched metric of each group of rows, and the gap between two."""
        return StrataScores(self.strata, self.recipe.watch, self.part)

    def classes(self) -> Sequence[LabelScores]:
        """Scores of each class, where rows have any."""
        return ()

    def more(self) -> Mapping[str, Any]:
        """The family's own keys of metrics.json."""
        return {}

    def sections(self) -> Sequence[Section]:
        """What the page shows besides: pictures, tables, mistakes."""
        return ()

    def split_table(self, counts: Mapping[str, Any]) -> Table:
        """What `Stages.split_counts` found, as a table."""
        return counts_table("Splits", "what", counts)

    @property
    def watched(self) -> float:
        """The watched metric of the model."""
        return next(s.value for s in next(iter(self.models.values())) if s.name == self.recipe.watch)

    def report(self, *, split_counts: Mapping[str, Any] | None = None, **details: Any) -> Report:
        """The page, with what the caller knows: subtitle, notes, data_facts, config_facts, history, split_counts."""
        return evidence_page(
            self.recipe.options.name,
            self.models,
            self.recipe.watch,
            differences=self.differences,
            own=[*self.groups_of_rows.sections(), *self.sections()],
            splits=self.split_table(split_counts) if split_counts else None,
            **details,
        )

    def write(self, run: RunFolder, report: Report) -> None:
        """metrics.json and report.html; a family writes its predictions.csv besides."""
        (_, own), *others = self.models.items()
        more = {**self.more(), **self.groups_of_rows.to_json()}
        write_metrics(run.metrics, own, dict(others), self.classes(), self.differences, more)
        write_text(run.report, render(report))
