"""Every score of an image classifier, each with its interval, and the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from tunebook.config.score import ScoreConfig
from tunebook.families.evidence import resampling
from tunebook.families.image_classification.findings import Findings, findings_of
from tunebook.families.image_classification.metrics.operating_scores import operating_scores
from tunebook.families.image_classification.metrics.ranking_compare import paired_ranking_difference
from tunebook.families.image_classification.metrics.reliability import finding_brier_score, finding_calibration_score
from tunebook.families.image_classification.metrics.report import FindingEvidence
from tunebook.families.image_classification.metrics.subgroups import subgroup_table
from tunebook.families.image_classification.predictor import ImageClassifier
from tunebook.families.image_classification.preprocessing import ImageItems
from tunebook.families.image_classification.recipe import ImageClassification
from tunebook.report.report import Picture
from tunebook.statistics.calibration import calibration_score
from tunebook.statistics.difference import Difference
from tunebook.statistics.differences import differences
from tunebook.statistics.finding_metrics import FindingAUROC, FindingAveragePrecision
from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.intervals import Score
from tunebook.statistics.metrics import Decided
from tunebook.statistics.predictions import Predictions
from tunebook.statistics.ranking_scores import mean_ranking_scores, ranking_scores
from tunebook.statistics.scores import majority, score_predictions

_RESAMPLES_OF_CALIBRATION = 1000


def score_findings(
    recipe: ImageClassification[Any],
    classifier: ImageClassifier,
    predictions: FindingPredictions,
    items: ImageItems,
    probabilities: NDArray[np.float64],
    config: ScoreConfig,
    seed: int,
    train_targets: NDArray[np.int64] | None = None,
    pictures: Sequence[Picture] = (),
) -> FindingEvidence:
    """Measure everything that the report shows.

    Args:
        recipe: Gives the metrics.
        classifier: The model.
        predictions: Its probabilities of the findings.
        items: The rows' targets.
        probabilities: Of all labels, ``[rows, labels]``.
        config: Confidence and resamples.
        seed: Of the draws.
        train_targets: Of the training rows, for the baseline that always answers their shares; None: no baseline.
        pictures: The worst mistakes, drawn.
    """
    settings = resampling(config, seed)
    answers = answers_of(classifier, predictions, items, probabilities)
    metrics = own_metrics(recipe.metrics(classifier.labels), classifier.findings)
    baselines: dict[str, Sequence[Score]] = {}
    compared: dict[str, dict[str, Difference]] = {}
    if train_targets is not None:
        shares = classifier.findings.flags(train_targets).mean(axis=0)
        alike = replace(predictions, probabilities=np.tile(shares, (len(predictions), 1)))
        common = _majority(train_targets, answers)
        baselines["shares"] = _overall(metrics, alike, common, settings)
        compared["shares"] = {"auroc": paired_ranking_difference(predictions, alike, **settings)}
        compared["shares"] |= (
            differences(MetricCollection(dict(metrics)), answers, common, **settings) if metrics else {}
        )
    rules = list(dict.fromkeys(point.name for point in classifier.points))
    chosen = classifier.point or (rules[0] if rules else None)
    return FindingEvidence(
        predictions=predictions,
        answers=None if answers.multilabel else answers,
        scores=_overall(metrics, predictions, answers, settings),
        baselines=baselines,
        differences=compared,
        by_finding=_by_finding(predictions, settings),
        at_points=operating_scores(classifier.points, predictions, **settings),
        subgroups=subgroup_table(predictions, [p for p in classifier.points if p.name == chosen], **settings),
        gallery=pictures,
    )


def own_metrics(metrics: MetricCollection, findings: Findings) -> dict[str, Metric]:
    """The recipe's metrics by name, without the rankings of findings, which are scored in a way of their own."""
    return {name: m for name, m in metrics.items(keep_base=True) if not is_mean_ranking(name, m, findings)}


def is_mean_ranking(name: str, metric: Metric, findings: Findings) -> bool:
    """Whether a metric is the family's own AUROC or average precision, averaged over all findings."""
    kind = {"auroc": FindingAUROC, "average_precision": FindingAveragePrecision}.get(name)
    if type(metric) is not kind or not isinstance(metric, FindingAUROC):
        return False
    return metric.columns in (None, findings.columns) if findings.several else metric.columns == findings.columns


def answers_of(
    classifier: ImageClassifier, predictions: FindingPredictions, items: ImageItems, probabilities: NDArray[np.float64]
) -> Predictions:
    """One label a row, or a flag for each finding, as metrics are given them."""
    return Predictions(
        labels=classifier.labels,
        target=items.targets,
        probabilities=probabilities,
        predicted=classifier.decide(probabilities),
        files=predictions.files,
        lines=predictions.lines,
        texts=predictions.images,
        groups=predictions.groups,
    )


def _majority(train_targets: NDArray[np.int64], answers: Predictions) -> Predictions:
    """The most frequent training label for every row, or the findings that most have; with the training shares."""
    if not answers.multilabel:
        return majority(np.bincount(train_targets, minlength=len(answers.labels)), answers)
    shares = np.tile(train_targets.mean(axis=0), (len(answers), 1))
    return replace(answers, probabilities=shares, predicted=(shares >= 0.5).astype(np.int64))


def _overall(
    metrics: Mapping[str, Metric], predictions: FindingPredictions, answers: Predictions, settings: dict[str, Any]
) -> list[Score]:
    scores = [score for score in mean_ranking_scores(predictions, **settings) if score.name not in metrics]
    if metrics:
        scores += score_predictions(MetricCollection(dict(metrics)), answers, **settings)
    if not answers.multilabel and len(answers) and "calibration_error" not in metrics:
        fewer = {**settings, "resamples": min(settings["resamples"], _RESAMPLES_OF_CALIBRATION)}
        scores.append(calibration_score(answers, **fewer))
    return scores


def _by_finding(predictions: FindingPredictions, settings: dict[str, Any]) -> dict[str, list[Score]]:
    fewer = {**settings, "resamples": min(settings["resamples"], _RESAMPLES_OF_CALIBRATION)}
    return {
        finding: [
            *scores,
            finding_calibration_score(predictions, finding, **fewer),
            finding_brier_score(predictions, finding, **fewer),
        ]
        for finding, scores in ranking_scores(predictions, **settings).items()
    }


def make_metrics(recipe: ImageClassification[Any], labels: Sequence[str]) -> MetricCollection:
    """AUROC and average precision, averaged over the findings; accuracy of single labels."""
    columns = findings_of(recipe, labels).columns
    metrics: dict[str, Any] = {
        "auroc": FindingAUROC(columns=columns),
        "average_precision": FindingAveragePrecision(columns=columns),
    }
    if recipe.options.findings is None:
        metrics["balanced_accuracy"] = Decided(MulticlassAccuracy(len(labels), average="macro"))
        metrics["accuracy"] = Decided(MulticlassAccuracy(len(labels), average="micro"))
    return MetricCollection(metrics)
