"""What is known of a model of aspects on test rows: scores of each aspect and of all, baselines, the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.families.sums_evidence import SumsEvidence
from tunebook.families.text_aspects.columns import targets_of
from tunebook.families.text_aspects.measures import aspect_measures, overall_measures
from tunebook.families.text_aspects.options import TextAspectsConfig
from tunebook.families.text_aspects.predictions_csv import write_aspects
from tunebook.families.text_aspects.predictor import AspectAnswers
from tunebook.families.text_aspects.report import aspect_sections
from tunebook.report.files import by_name
from tunebook.report.report import Report, Section
from tunebook.run_folder import RunFolder
from tunebook.statistics.intervals import Score
from tunebook.statistics.outcomes import sums_outcome
from tunebook.statistics.subgroups import Part
from tunebook.statistics.sums import RowSums, score


@dataclass(frozen=True, kw_only=True)
class AspectEvidence(SumsEvidence):
    """Scores of a model and of its baselines on the same rows.

    Attributes:
        answers: Model -> its answers, the model's own first.
    """

    answers: Mapping[str, AspectAnswers]

    @property
    def options(self) -> TextAspectsConfig:
        """The recipe's."""
        options: TextAspectsConfig = self.recipe.options
        return options

    @cached_property
    def truth(self) -> NDArray[np.int64]:
        """The true values, ``[rows, aspects]``."""
        return targets_of(self.rows, self.options)

    @cached_property
    def _overall(self) -> Mapping[str, Mapping[str, RowSums]]:
        size = len(self.options.values)
        return {name: overall_measures(self.truth, each.predicted, size) for name, each in self.answers.items()}

    def measures(self) -> Mapping[str, Mapping[str, RowSums]]:
        """Mean macro F1 and exact match of each model."""
        return self._overall

    @cached_property
    def aspects(self) -> Mapping[str, Mapping[str, Sequence[Score]]]:
        """Aspect -> model -> its scores; of the baselines the macro F1 alone."""
        return {
            aspect: {name: self._scores_of(i, name) for name in self.answers}
            for i, aspect in enumerate(self.options.aspects)
        }

    def _scores_of(self, aspect: int, model: str) -> list[Score]:
        predicted = self.answers[model].predicted[:, aspect]
        found = list(aspect_measures(self.truth[:, aspect], predicted, len(self.options.values)).values())
        return [self.score(each) for each in (found if model == next(iter(self.answers)) else found[:1])]

    def part(self, rows: NDArray[np.int64]) -> Part:
        """The watched metric of some rows."""
        whole = next(iter(self._overall.values()))[self.recipe.watch]
        some = replace(whole, sums=whole.sums[rows])
        groups = None if self.rows.groups is None else self.rows.groups[rows]
        found = score(some, groups, confidence=self.config.confidence, resamples=self.config.resamples, seed=self.seed)
        return Part(found, sums_outcome(some, groups) if found.defined else None)

    def more(self) -> Mapping[str, Any]:
        """The scores of each aspect."""
        own = next(iter(self.answers))
        return {"aspects": {aspect: by_name(models[own]) for aspect, models in self.aspects.items()}}

    def sections(self) -> Sequence[Section]:
        """Aspect by aspect, the confusion matrices, the most confident mistakes."""
        own = next(iter(self.answers.values()))
        return aspect_sections(self.rows, self.truth, own, self.options, self.aspects)

    def write(self, run: RunFolder, report: Report) -> None:
        """metrics.json, predictions.csv and report.html."""
        own = next(iter(self.answers.values()))
        write_aspects(run.predictions, self.rows, self.truth, own, self.options)
        super().write(run, report)
