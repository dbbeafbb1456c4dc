"""What is known of an image classifier on test rows: rankings, answers, operating points, subgroups, the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torchmetrics import MetricCollection

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
from tunebook.families.image_classification.scores import answers_of, is_mean_ranking, score_findings
from tunebook.families.strata import Strata
from tunebook.families.suspects import SuspectRows
from tunebook.report.files import by_name
from tunebook.report.report import Report
from tunebook.run_folder import RunFolder
from tunebook.statistics.difference import Difference
from tunebook.statistics.intervals import Score
from tunebook.statistics.metric_outcome import metric_outcomes
from tunebook.statistics.ranking_outcome import ranking_outcome
from tunebook.statistics.ranking_scores import mean_ranking_scores
from tunebook.statistics.scores import score_predictions
from tunebook.statistics.subgroups import Part, rows_of


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
        suspects: The training and validation images whose label is probably wrong; None where nobody looked.
    """

    recipe: ImageClassification[Any]
    classifier: ImageClassifier
    found: FindingEvidence
    items: ImageItems
    probabilities: NDArray[np.float64]
    name: str = "tuned"
    suspects: SuspectRows | None = None

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
            recipe.options.name,
            self.found,
            watch=recipe.watch,
            cautions=recipe.cautions,
            name=self.name,
            own=[*self.groups_of_rows.sections(), *([] if self.suspects is None else [self.suspects.section()])],
            **details,
        )

    def part(self, rows: NDArray[np.int64]) -> Part:
        """The watched metric of some images."""
        found, watch = self.found.predictions, self.recipe.watch
        metric = dict(self.recipe.metrics(self.classifier.labels).items(keep_base=True))[watch]
        settings = self.strata.settings
        if is_mean_ranking(watch, metric, self.classifier.findings):
            seen = rows_of(found, rows)
            scored = next(each for each in mean_ranking_scores(seen, **settings) if each.name == watch)
            return Part(scored, ranking_outcome(seen, watch) if scored.defined else None)
        answers = rows_of(answers_of(self.classifier, found, self.items, self.probabilities), rows)
        (scored,) = score_predictions(MetricCollection({watch: metric}), answers, **settings)
        return Part(scored, metric_outcomes(metric, [answers])[0] if scored.defined else None)

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
        """metrics.json, predictions.csv, suspects.csv and report.html."""
        seen = self.found.predictions
        write_image_predictions(run.predictions, self.classifier, seen, self.items, self.probabilities)
        if self.suspects is not None:
            self.suspects.write(run.suspects)
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
    suspects: SuspectRows | None = None,
) -> ImageEvidence:
    """Answer the images and score the answers."""
    logits = logits_of(classifier, items, "test rows", device, progress)
    probabilities = classifier.probabilities(logits)
    predictions = finding_predictions(classifier, rows, items, probabilities, subgroups)
    pictures = gallery(classifier, predictions, items, device)
    found = score_findings(recipe, classifier, predictions, items, probabilities, config, seed, train_targets, pictures)
    at_points = [scores_in_words(scored) for scored in found.at_points]
    return ImageEvidence(
        recipe,
        classifier,
        found,
        items,
        probabilities,
        name,
        suspects,
        notes=notes,
        summary=[*at_points, *([] if suspects is None else [suspects.in_words])],
        strata=Strata.of(rows, config, seed),
    )
