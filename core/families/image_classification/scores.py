"""Every score of an image classifier, each with its interval, beside the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tunebook.config.score import ScoreConfig
from tunebook.families.image_classification.metrics.operating_scores import operating_scores
from tunebook.families.image_classification.metrics.ranking_compare import paired_ranking_difference
from tunebook.families.image_classification.metrics.reliability import finding_brier_score, finding_calibration_score
from tunebook.families.image_classification.metrics.report import FindingEvidence
from tunebook.families.image_classification.metrics.subgroups import subgroup_table
from tunebook.families.image_classification.predictor import ImageClassifier
from tunebook.families.image_classification.preprocessing import ImageItems
from tunebook.report.report import Picture
from tunebook.statistics.calibration import calibration_score
from tunebook.statistics.differences import Difference, differences
from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.intervals import Score
from tunebook.statistics.metrics import looks_at
from tunebook.statistics.predictions import Predictions
from tunebook.statistics.ranking_scores import mean_ranking_scores, ranking_scores
from tunebook.statistics.scores import majority, score_predictions

if TYPE_CHECKING:
    from tunebook.families.image_classification.recipe import ImageClassification

_RESAMPLES_OF_CALIBRATION = 1000


def score_findings(
    recipe: ImageClassification[Any],
    classifier: ImageClassifier,
    believed: FindingPredictions,
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
        believed: Its probabilities of the findings.
        items: The rows' targets.
        probabilities: Of all labels, ``[rows, labels]``.
        config: Confidence and resamples.
        seed: Of the draws.
        train_targets: Of the training rows, for the baseline that always answers their shares; None: no baseline.
        pictures: The worst mistakes, drawn.
    """
    settings: dict[str, Any] = {"confidence": config.confidence, "resamples": config.resamples, "seed": seed}
    answers = None if classifier.findings.several else _answers(classifier, believed, items, probabilities)
    metrics = recipe.metrics(classifier.labels)
    exact = {n: m for n, m in metrics.items(keep_base=True) if looks_at(m) != "ranking"}
    baselines: dict[str, Sequence[Score]] = {}
    compared: dict[str, dict[str, Difference]] = {}
    if train_targets is not None:
        shares = classifier.findings.flags(train_targets).mean(axis=0)
        alike = replace(believed, probabilities=np.tile(shares, (len(believed), 1)))
        counts = np.bincount(train_targets, minlength=len(classifier.labels)) if train_targets.ndim == 1 else None
        common = majority(counts, answers) if answers is not None and counts is not None else None
        baselines["shares"] = _overall(exact, alike, common, settings)
        compared["shares"] = {"auroc": paired_ranking_difference(believed, alike, **settings)}
        if answers is not None and common is not None and exact:
            compared["shares"] |= differences(_collection(exact), answers, common, **settings)
    rules = list(dict.fromkeys(point.name for point in classifier.points))
    chosen = classifier.point or (rules[0] if rules else None)
    return FindingEvidence(
        predictions=believed,
        answers=answers,
        scores=_overall(exact, believed, answers, settings),
        baselines=baselines,
        differences=compared,
        by_finding=_by_finding(believed, settings),
        at_points=operating_scores(classifier.points, believed, **settings),
        subgroups=subgroup_table(believed, [p for p in classifier.points if p.name == chosen], **settings),
        gallery=pictures,
    )


def _collection(metrics: Mapping[str, Any]) -> Any:
    from torchmetrics import MetricCollection

    return MetricCollection(dict(metrics))


def _answers(
    classifier: ImageClassifier, believed: FindingPredictions, items: ImageItems, probabilities: NDArray[np.float64]
) -> Predictions:
    """One label a row, as the text classifiers have it."""
    return Predictions(
        labels=classifier.labels,
        target=items.targets,
        probabilities=probabilities,
        predicted=classifier.decide(probabilities),
        files=believed.files,
        lines=believed.lines,
        texts=believed.images,
        groups=believed.groups,
    )


def _overall(
    exact: Mapping[str, Any],
    believed: FindingPredictions,
    answers: Predictions | None,
    settings: dict[str, Any],
) -> list[Score]:
    scores = list(mean_ranking_scores(believed, **settings))
    if answers is not None and exact:
        scores += score_predictions(_collection(exact), answers, **settings)
    if answers is not None and len(answers):
        fewer = {**settings, "resamples": min(settings["resamples"], _RESAMPLES_OF_CALIBRATION)}
        scores.append(calibration_score(answers, **fewer))
    return scores


def _by_finding(believed: FindingPredictions, settings: dict[str, Any]) -> dict[str, list[Score]]:
    fewer = {**settings, "resamples": min(settings["resamples"], _RESAMPLES_OF_CALIBRATION)}
    return {
        finding: [
            *scores,
            finding_calibration_score(believed, finding, **fewer),
            finding_brier_score(believed, finding, **fewer),
        ]
        for finding, scores in ranking_scores(believed, **settings).items()
    }
