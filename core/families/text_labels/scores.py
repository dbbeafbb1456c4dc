"""Every score of answers that may hold several labels, each with its interval, and what others are compared by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torchmetrics import Metric, MetricCollection

from tunebook.statistics.difference import Difference
from tunebook.statistics.differences import differences
from tunebook.statistics.finding_metrics import FindingAveragePrecision
from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.intervals import Score
from tunebook.statistics.metric_outcome import metric_outcomes
from tunebook.statistics.metrics import metric_input, undecided
from tunebook.statistics.outcome_scores import outcome_difference
from tunebook.statistics.outcomes import Outcome, sums_outcome
from tunebook.statistics.predictions import Predictions
from tunebook.statistics.ranking_outcome import ranking_outcome
from tunebook.statistics.ranking_scores import mean_ranking_scores, ranking_scores
from tunebook.statistics.scores import score_predictions
from tunebook.statistics.sums import RowSums, ratio, score
from tunebook.statistics.sums_difference import sums_difference
from tunebook.statistics.sums_metric import SumsMetric

RANKING = "average_precision"


def rankings(predictions: Predictions) -> FindingPredictions:
    """The same answers as rankings of rows, a label at a time."""
    return FindingPredictions(
        findings=predictions.labels,
        target=predictions.target,
        probabilities=predictions.probabilities,
        files=predictions.files,
        lines=predictions.lines,
        images=predictions.texts,
        groups=predictions.groups,
    )


def row_sums(name: str, metric: Metric, predictions: Predictions) -> RowSums:
    """What each row adds to a metric that is a formula of sums."""
    inner = undecided(metric)
    assert isinstance(inner, SumsMetric)
    target, answers, probabilities = (
        torch.from_numpy(part) for part in (predictions.target, predictions.predicted, predictions.probabilities)
    )
    sums = np.asarray(inner.rows(metric_input(metric, probabilities, answers), target), dtype=np.float64)
    yes_or_no = inner.formula is ratio and bool(np.isin(sums[:, 0], (0, 1)).all() and (sums[:, 1] == 1).all())
    return RowSums(
        name,
        sums,
        inner.formula,
        most=inner.plot_upper_bound,
        share=yes_or_no,
        higher_is_better=inner.higher_is_better is not False,
    )


@dataclass(frozen=True)
class SeveralScorer:
    """Scores answers by a recipe's metrics: sums by their sums, rankings by ranks, any other anew for each resample.

    Attributes:
        metrics: By name.
        settings: How intervals are made.
    """

    metrics: Mapping[str, Metric]
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, metrics: MetricCollection, settings: Mapping[str, Any]) -> SeveralScorer:
        """That of a recipe's metrics."""
        return cls({str(name): metric for name, metric in metrics.items(keep_base=True)}, settings)

    def scores(self, predictions: Predictions) -> list[Score]:
        """Every metric with its interval."""
        return [self.score(name, predictions) for name in self.metrics]

    def score(self, name: str, predictions: Predictions) -> Score:
        """One metric with its interval."""
        metric = self.metrics[name]
        if isinstance(undecided(metric), SumsMetric):
            return score(row_sums(name, metric, predictions), predictions.groups, **self.settings)
        if _ranks(metric):
            found = mean_ranking_scores(rankings(predictions), **self.settings)
            return replace(next(each for each in found if each.name == RANKING), name=name)
        return score_predictions(MetricCollection({name: metric}), predictions, **self.settings)[0]

    def difference(self, name: str, one: Predictions, other: Predictions) -> Difference:
        """One metric of a model minus that of another on the same rows."""
        metric = self.metrics[name]
        if isinstance(undecided(metric), SumsMetric):
            both = row_sums(name, metric, one), row_sums(name, metric, other)
            return sums_difference(*both, one.groups, **self.settings)
        if _ranks(metric) and _ranked(one):
            first, second = (ranking_outcome(rankings(each), RANKING) for each in (one, other))
            return outcome_difference(first, second, len(one), **self.settings)
        return differences(MetricCollection({name: metric}), one, other, **self.settings)[name]

    def outcomes(self, name: str, runs: Sequence[Predictions]) -> Sequence[Outcome]:
        """What runs answered, to be scored by one metric."""
        metric = self.metrics[name]
        if isinstance(undecided(metric), SumsMetric):
            return [sums_outcome(row_sums(name, metric, run), run.groups) for run in runs]
        if _ranks(metric) and runs and _ranked(runs[0]):
            return [ranking_outcome(rankings(run), RANKING) for run in runs]
        return metric_outcomes(metric, runs)


def _ranks(metric: Metric) -> bool:
    """Whether a metric is the family's own average precision, in the mean of all labels."""
    return type(metric) is FindingAveragePrecision and metric.columns is None


def _ranked(predictions: Predictions) -> bool:
    """Whether some label can be ranked on these rows."""
    return bool(((predictions.target == 1).any(axis=0) & (predictions.target != 1).any(axis=0)).any())


def precision_of_labels(predictions: Predictions, settings: Mapping[str, Any]) -> dict[str, Score]:
    """Average precision of each label."""
    found = ranking_scores(rankings(predictions), **settings)
    return {label: next(each for each in scores if each.name == RANKING) for label, scores in found.items()}
