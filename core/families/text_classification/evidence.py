"""What is known of a text classifier on test rows: scores, baselines, the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torchmetrics import MetricCollection

from tunebook.config.score import ScoreConfig
from tunebook.data.columns import TEXT
from tunebook.data.pairs import pairs_of, whole_texts
from tunebook.data.rows import Rows
from tunebook.families.evidence import Evidence, resampling
from tunebook.families.suspects import SuspectRows
from tunebook.families.text_classification.confidence import Confidence
from tunebook.families.text_classification.predictor import TextClassifier
from tunebook.families.text_classification.report import classification_sections, splits_table
from tunebook.progress import counting
from tunebook.report.files import write_predictions
from tunebook.report.report import Report, Section, Table
from tunebook.run_folder import RunFolder
from tunebook.statistics.difference import Difference
from tunebook.statistics.differences import differences
from tunebook.statistics.intervals import Score
from tunebook.statistics.label_scores import LabelScores
from tunebook.statistics.measure import measure
from tunebook.statistics.metric_outcome import metric_outcomes
from tunebook.statistics.predictions import Predictions, joined
from tunebook.statistics.scores import per_class, score_predictions
from tunebook.statistics.subgroups import Part, rows_of


def predict_rows(classifier: TextClassifier, rows: Rows, what: str, progress: bool, device: Any = None) -> Predictions:
    """Label checked rows that have a truth."""
    with counting(what, len(rows), progress) as advance:
        probabilities, predicted = classifier.predict(rows.texts(TEXT), device, advance, pairs_of(rows))
    return replace(unanswered(rows, classifier.labels), probabilities=probabilities, predicted=predicted)


def unanswered(rows: Rows, labels: tuple[str, ...]) -> Predictions:
    """Rows with their truth, all answered with the first label, to be answered."""
    index = {name: i for i, name in enumerate(labels)}
    return Predictions(
        labels=labels,
        target=np.array([index[label] for label in rows.texts("label")], dtype=np.int64),
        probabilities=np.full((len(rows), len(labels)), 1 / len(labels)),
        predicted=np.zeros(len(rows), dtype=np.int64),
        files=rows.texts("file"),
        lines=rows.lines,
        texts=whole_texts(rows),
        groups=rows.groups,
    )


@dataclass(frozen=True)
class TextEvidence(Evidence):
    """Scores of the tuned model and its baselines on the same rows.

    Attributes:
        tuned: The tuned model's predictions.
        baselines: Other predictions on the same rows, by name.
        config: Confidence and resamples.
        seed: Seed of the bootstrap.
        name: What the model is called.
        suspects: The training and validation rows whose label is probably wrong; None where nobody looked.
        confidence: What its probabilities are worth; None of a model that is only compared with.
    """

    tuned: Predictions
    baselines: Mapping[str, Predictions]
    config: ScoreConfig
    seed: int
    name: str = "tuned"
    suspects: SuspectRows | None = None
    confidence: Confidence | None = None

    @property
    def _settings(self) -> dict[str, Any]:
        return resampling(self.config, self.seed)

    @cached_property
    def models(self) -> Mapping[str, Sequence[Score]]:
        """Scores by model, its own first."""
        metrics, settings = self.recipe.metrics(self.tuned.labels), self._settings
        answers = {self.name: self.tuned, **self.baselines}
        return {name: score_predictions(metrics, each, **settings) for name, each in answers.items()}

    @cached_property
    def differences(self) -> Mapping[str, Mapping[str, Difference]]:
        """Baseline -> metric -> the model minus the baseline."""
        metrics, settings = self.recipe.metrics(self.tuned.labels), self._settings
        return {name: differences(metrics, self.tuned, each, **settings) for name, each in self.baselines.items()}

    def part(self, rows: NDArray[np.int64]) -> Part:
        """The watched metric of some rows."""
        predictions, watch = rows_of(self.tuned, rows), self.recipe.watch
        metric = dict(self.recipe.metrics(self.tuned.labels).items(keep_base=True))[watch]
        (found,) = score_predictions(MetricCollection({watch: metric}), predictions, **self._settings)
        return Part(found, metric_outcomes(metric, [predictions])[0] if found.defined else None)

    def together(self, others: Sequence[TextEvidence]) -> Mapping[str, float]:
        """Each metric of the recipe on all rows; nan where it is undefined."""
        predictions = joined([self.tuned, *(each.tuned for each in others)])
        metrics = self.recipe.metrics(self.tuned.labels).items(keep_base=True)
        return {str(name): measure(metric, predictions)[0] for name, metric in metrics}

    @cached_property
    def _per_class(self) -> Sequence[LabelScores]:
        return per_class(self.tuned, **self._settings)

    def classes(self) -> Sequence[LabelScores]:
        """Scores of each label."""
        return self._per_class

    def sections(self) -> Sequence[Section]:
        """Label by label, the confusion matrix, the confidence, what may be held back, and the worst mistakes."""
        earlier = None if self.confidence is None else self.confidence.earlier
        shown = classification_sections(self.tuned, self.classes(), seed=self.seed, earlier=earlier)
        if self.confidence is not None:
            shown += self.confidence.sections()
        return shown if self.suspects is None else [*shown, self.suspects.section()]

    def more(self) -> Mapping[str, Any]:
        """What the probabilities are worth."""
        return {} if self.confidence is None else self.confidence.to_json()

    def split_table(self, counts: Mapping[str, Any]) -> Table:
        """Rows of each label."""
        return splits_table(self.tuned.labels, counts)

    def write(self, run: RunFolder, report: Report) -> None:
        """metrics.json, predictions.csv, suspects.csv and report.html."""
        write_predictions(run.predictions, self.tuned)
        if self.suspects is not None:
            self.suspects.write(run.suspects)
        super().write(run, report)
