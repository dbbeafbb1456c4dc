"""What is known of a model that puts several labels on a text, on test rows: scores, baselines, the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.config.score import ScoreConfig
from tunebook.families.evidence import Evidence, resampling
from tunebook.families.text_labels.predictions_csv import write_labels
from tunebook.families.text_labels.report import labels_sections
from tunebook.families.text_labels.scores import SeveralScorer, precision_of_labels
from tunebook.families.text_labels.thresholds import Chosen
from tunebook.report.files import by_name
from tunebook.report.report import Report, Section, Table
from tunebook.report.tables import counts_table
from tunebook.run_folder import RunFolder
from tunebook.statistics.difference import Difference
from tunebook.statistics.intervals import Score
from tunebook.statistics.label_scores import LabelScores
from tunebook.statistics.predictions import Predictions
from tunebook.statistics.several import none_sums, scores_by_label
from tunebook.statistics.subgroups import Part, rows_of
from tunebook.statistics.sums import score


@dataclass(frozen=True)
class LabelsEvidence(Evidence):
    """Scores of a model and its baselines on the same rows.

    Attributes:
        tuned: The model's predictions.
        baselines: Other predictions on the same rows, by name.
        config: Confidence and resamples.
        seed: Seed of the bootstrap.
        name: What the model is called.
        chosen: The thresholds; None where the head decides by a rule of its own.
    """

    tuned: Predictions
    baselines: Mapping[str, Predictions]
    config: ScoreConfig
    seed: int
    name: str = "tuned"
    chosen: Chosen | None = None

    @property
    def _settings(self) -> dict[str, Any]:
        return resampling(self.config, self.seed)

    @cached_property
    def _scorer(self) -> SeveralScorer:
        return SeveralScorer.of(self.recipe.metrics(self.tuned.labels), self._settings)

    @cached_property
    def models(self) -> Mapping[str, Sequence[Score]]:
        """Scores by model, its own first."""
        answers = {self.name: self.tuned, **self.baselines}
        return {name: self._scorer.scores(each) for name, each in answers.items()}

    @cached_property
    def differences(self) -> Mapping[str, Mapping[str, Difference]]:
        """Baseline -> metric -> the model minus the baseline."""
        return {
            name: {metric: self._scorer.difference(metric, self.tuned, each) for metric in self._scorer.metrics}
            for name, each in self.baselines.items()
        }

    def part(self, rows: NDArray[np.int64]) -> Part:
        """The watched metric of some rows."""
        predictions, watch = rows_of(self.tuned, rows), self.recipe.watch
        found = self._scorer.score(watch, predictions)
        return Part(found, self._scorer.outcomes(watch, [predictions])[0] if found.defined else None)

    @cached_property
    def _by_label(self) -> Sequence[LabelScores]:
        return scores_by_label(self.tuned, **self._settings)

    @cached_property
    def _precision(self) -> Mapping[str, Score]:
        return precision_of_labels(self.tuned, self._settings)

    @cached_property
    def _none(self) -> Mapping[str, Score]:
        sums, groups = none_sums(self.tuned), self.tuned.groups
        return {name: score(each, groups, **self._settings) for name, each in sums.items()}

    def classes(self) -> Sequence[LabelScores]:
        """Scores of each label."""
        return self._by_label

    def more(self) -> Mapping[str, Any]:
        """Average precision and threshold of each label, and what becomes of rows without any."""
        thresholds = {} if self.chosen is None else self.chosen.thresholds
        labels = {
            label: {"threshold": thresholds.get(label), **by_name([found])} for label, found in self._precision.items()
        }
        return {"labels": labels, "no_label": by_name(list(self._none.values()))}

    def sections(self) -> Sequence[Section]:
        """Label by label, curves, rows without any label and the worst mistakes."""
        return labels_sections(self.tuned, self._by_label, self._precision, self._none, self.chosen)

    def split_table(self, counts: Mapping[str, Any]) -> Table:
        """Rows of each label."""
        return counts_table("Rows of each label", "label", counts)

    def write(self, run: RunFolder, report: Report) -> None:
        """metrics.json, predictions.csv and report.html."""
        write_labels(run.predictions, self.tuned)
        super().write(run, report)
