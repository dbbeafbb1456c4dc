"""What is known of an image classifier on test rows: rankings, answers, operating points, subgroups, the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.config.score import ScoreConfig
from tunebook.data.rows import Rows
from tunebook.families.evidence import Evidence
from tunebook.families.image_classification.gallery import gallery
from tunebook.families.image_classification.metrics.report import (
    FindingEvidence,
    findings_report,
    scores_in_words,
    subgroups_to_json,
)
from tunebook.families.image_classification.predictions_csv import write_image_predictions
from tunebook.families.image_classification.predictor import ImageClassifier, finding_predictions, logits_of
from tunebook.families.image_classification.preprocessing import ImageItems
from tunebook.families.image_classification.recipe import ImageClassification
from tunebook.families.image_classification.scores import score_findings
from tunebook.report.files import by_name
from tunebook.report.report import Report
from tunebook.run_folder import RunFolder
from tunebook.statistics.difference import Difference
from tunebook.statistics.intervals import Score


@dataclass(frozen=True)
class ImageEvidence(Evidence):
    """Scores of a model and of the labels' shares on the same images.

    Attributes:
        recipe: Names the watched metric, and what must be said of the model's use.
        classifier: The model.
        found: All that was measured.
        items: The images with their truth.
        probabilities: Of all labels, ``[rows, labels]``.
        name: What the model is called.
    """

    recipe: ImageClassification[Any]
    classifier: ImageClassifier
    found: FindingEvidence
    items: ImageItems
    probabilities: NDArray[np.float64]
    name: str = "tuned"

    @property
    def models(self) -> Mapping[str, Sequence[Score]]:
        """Scores by model, its own first."""
        return {self.name: self.found.scores, **self.found.baselines}

    @property
    def differences(self) -> Mapping[str, Mapping[str, Difference]]:
        """Baseline -> metric -> the model minus the baseline."""
        return self.found.differences

    def report(self, **details: Any) -> Report:
        """The page, with what the caller knows of data, config and training."""
        recipe = self.recipe
        return findings_report(
            recipe.options.name, self.found, watch=recipe.watch, cautions=recipe.cautions, name=self.name, **details
        )

    def more(self) -> Mapping[str, Any]:
        """Scores by finding, operating point and subgroup."""
        found = self.found
        return {
            "findings": {finding: by_name(scores) for finding, scores in found.by_finding.items()},
            "operating_points": [
                {
                    **point.point.to_json(),
                    **by_name([point.sensitivity, point.specificity, point.ppv, point.npv, point.answered]),
                }
                for point in found.at_points
            ],
            "subgroups": subgroups_to_json(found.subgroups),
            "temperature": self.classifier.temperature,
        }

    def write(self, run: RunFolder, report: Report) -> None:
        """metrics.json, predictions.csv and report.html."""
        seen = self.found.predictions
        write_image_predictions(run.predictions, self.classifier, seen, self.items, self.probabilities)
        super().write(run, report)


def judged(
    recipe: ImageClassification[Any],
    classifier: ImageClassifier,
    rows: Rows,
    items: ImageItems,
    config: ScoreConfig,
    seed: int,
    device: str,
    *,
    subgroups: Sequence[str],
    train_targets: NDArray[np.int64] | None = None,
    progress: bool = True,
    name: str = "tuned",
    notes: Sequence[str] = (),
) -> ImageEvidence:
    """Answer the images and score the answers."""
    logits = logits_of(classifier, items, "test rows", device, progress)
    probabilities = classifier.probabilities(logits)
    predictions = finding_predictions(classifier, rows, items, probabilities, subgroups)
    pictures = gallery(classifier, predictions, items, device)
    found = score_findings(recipe, classifier, predictions, items, probabilities, config, seed, train_targets, pictures)
    at_points = [scores_in_words(scored) for scored in found.at_points]
    return ImageEvidence(recipe, classifier, found, items, probabilities, name, notes=notes, summary=at_points)
