"""What is known of a model of numbers on test rows: scores, baselines, the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics import Metric

from tunebook.config.score import ScoreConfig
from tunebook.data.columns import TEXT
from tunebook.data.pairs import pairs_of
from tunebook.data.rows import Rows
from tunebook.families.evidence import Evidence, resampling
from tunebook.families.text_regression.predictions_csv import write_numbers
from tunebook.families.text_regression.predictor import TextRegressor
from tunebook.families.text_regression.report import regression_sections, splits_table
from tunebook.families.text_regression.ridge import unanswered
from tunebook.progress import counting
from tunebook.report.report import Report, Section, Table, show_number
from tunebook.run_folder import RunFolder
from tunebook.statistics.difference import Difference
from tunebook.statistics.intervals import ROW_RESAMPLES, Score
from tunebook.statistics.numbers import ComputedOutcome, NumberPredictions, number_outcomes
from tunebook.statistics.outcome_scores import outcome_difference, outcome_score
from tunebook.statistics.outcomes import Outcome
from tunebook.statistics.subgroups import Part, rows_of


@dataclass(frozen=True)
class NumberEvidence(Evidence):
    """Scores of a model and its baselines on the same rows.

    Attributes:
        tuned: The model's answers.
        baselines: Other answers to the same rows, by name.
        config: Confidence and resamples.
        seed: Seed of the bootstrap.
        name: What the model is called.
    """

    tuned: NumberPredictions
    baselines: Mapping[str, NumberPredictions]
    config: ScoreConfig
    seed: int
    name: str = "tuned"

    @cached_property
    def _outcomes(self) -> list[tuple[str, Metric, list[Outcome]]]:
        """Each metric with what the model and its baselines answered."""
        answers = [self.tuned, *self.baselines.values()]
        metrics = self.recipe.metrics(()).items(keep_base=True)
        return [(name, metric, number_outcomes(metric, answers)) for name, metric in metrics]

    def _settings(self, outcome: Outcome) -> dict[str, Any]:
        settings = resampling(self.config, self.seed)
        few = min(self.config.resamples, ROW_RESAMPLES)
        return {**settings, "resamples": few} if isinstance(outcome, ComputedOutcome) else settings

    def _score(self, name: str, metric: Metric, outcome: Outcome) -> Score:
        higher = metric.higher_is_better is not False
        return outcome_score(outcome, name, len(self.tuned), higher_is_better=higher, **self._settings(outcome))

    @cached_property
    def models(self) -> Mapping[str, Sequence[Score]]:
        """Scores by model, its own first."""
        return {
            model: [self._score(name, metric, outcomes[i]) for name, metric, outcomes in self._outcomes]
            for i, model in enumerate((self.name, *self.baselines))
        }

    @cached_property
    def differences(self) -> Mapping[str, Mapping[str, Difference]]:
        """Baseline -> metric -> the model minus the baseline."""
        return {
            other: {
                name: outcome_difference(own, found[i], len(self.tuned), **self._settings(own))
                for name, _, (own, *found) in self._outcomes
            }
            for i, other in enumerate(self.baselines)
        }

    def part(self, rows: NDArray[np.int64]) -> Part:
        """The watched metric of some rows."""
        answers, watch = rows_of(self.tuned, rows), self.recipe.watch
        metric = dict(self.recipe.metrics(()).items(keep_base=True))[watch]
        (outcome,) = number_outcomes(metric, [answers])
        higher = metric.higher_is_better is not False
        found = outcome_score(outcome, watch, len(rows), higher_is_better=higher, **self._settings(outcome))
        return Part(found, outcome if found.defined else None)

    def sections(self) -> Sequence[Section]:
        """The residuals, and the answers that are farthest off."""
        return regression_sections(self.tuned)

    def split_table(self, counts: Mapping[str, Any]) -> Table:
        """Rows, mean, deviation, least and greatest of the numbers of each split."""
        return splits_table(counts)

    def write(self, run: RunFolder, report: Report) -> None:
        """metrics.json, predictions.csv and report.html."""
        write_numbers(run.predictions, self.tuned)
        super().write(run, report)


def predict_rows(
    regressor: TextRegressor, rows: Rows, what: str, progress: bool, device: torch.device
) -> NumberPredictions:
    """Answer checked rows that have a truth."""
    like = unanswered(rows)
    with counting(what, len(rows), progress) as advance:
        return replace(like, predicted=regressor.predict(rows.texts(TEXT), device, advance, pairs_of(rows)))


def in_words(targets: np.ndarray) -> str:
    """Mean, deviation and range of numbers ``[rows]``."""
    mean, deviation, least, greatest = (
        show_number(float(each)) for each in (targets.mean(), targets.std(), targets.min(), targets.max())
    )
    return f"{least} to {greatest}, mean {mean}, standard deviation {deviation}"
