"""What is known of a text classifier on test rows: scores, baselines, the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from tunebook.config.evaluate import EvaluateConfig
from tunebook.config.schema import Method, TrainerConfig
from tunebook.config.score import ScoreConfig
from tunebook.data.columns import TEXT
from tunebook.data.pairs import joined, pairs_of
from tunebook.data.rows import Rows
from tunebook.families.family import node_as
from tunebook.families.prepared import Prepared, called
from tunebook.families.text_classification.build import classifier as ready
from tunebook.families.text_classification.build import zero_shot_model
from tunebook.families.text_classification.options import TextEvaluation
from tunebook.families.text_classification.predictor import TextClassifier
from tunebook.families.text_classification.recipe import TextClassification
from tunebook.families.text_classification.report import classification_report
from tunebook.files import write_text
from tunebook.progress import counting
from tunebook.recipe import Recipe
from tunebook.report.files import write_metrics, write_predictions
from tunebook.report.report import Report, render
from tunebook.run_folder import RunFolder
from tunebook.statistics.difference import Difference
from tunebook.statistics.differences import differences
from tunebook.statistics.intervals import Score
from tunebook.statistics.predictions import Predictions
from tunebook.statistics.scores import majority, per_class, score_predictions
from tunebook.training.devices import choose_accelerator


def predict_rows(classifier: TextClassifier, rows: Rows, what: str, progress: bool, device: Any = None) -> Predictions:
    """Label checked rows that have a truth."""
    index = {name: i for i, name in enumerate(classifier.labels)}
    texts, pairs = rows.texts(TEXT), pairs_of(rows)
    with counting(what, len(rows), progress) as advance:
        probabilities, predicted = classifier.predict(texts, device, advance, pairs)
    return Predictions(
        labels=classifier.labels,
        target=np.array([index[label] for label in rows.texts("label")], dtype=np.int64),
        probabilities=probabilities,
        predicted=predicted,
        files=rows.texts("file"),
        lines=[int(line) for line in rows.column("line").to_pylist()],
        texts=joined(texts, pairs),
        groups=np.array(rows.texts("group")) if "group" in rows.roles else None,
    )


class TextEvidence:
    """Scores of the tuned model and its baselines on the same rows.

    Args:
        recipe: Gives the metrics.
        tuned: The tuned model's predictions.
        baselines: Other predictions on the same rows, by name.
        config: Confidence and resamples.
        seed: Seed of the bootstrap.
        name: What the model is called.
        notes: What a reader must know of how it was judged.
        facts: What was counted while rows were answered.
    """

    summary: Sequence[str]

    def __init__(
        self,
        recipe: Recipe[Any],
        tuned: Predictions,
        baselines: Mapping[str, Predictions],
        config: ScoreConfig,
        seed: int,
        name: str = "tuned",
        notes: Sequence[str] = (),
        facts: Mapping[str, str] | None = None,
    ) -> None:
        self.recipe, self.name = recipe, name
        self.notes, self.facts, self.summary = tuple(notes), facts or {}, ()
        self.tuned = tuned
        self.settings: dict[str, Any] = {
            "confidence": config.confidence,
            "resamples": config.resamples,
            "seed": seed,
        }
        self.metrics = recipe.metrics(tuned.labels)
        self.scores = score_predictions(self.metrics, tuned, **self.settings)
        self.baselines = {
            name: (score_predictions(self.metrics, p, **self.settings), p) for name, p in baselines.items()
        }
        self.differences: dict[str, dict[str, Difference]] = {
            name: differences(self.metrics, tuned, p, **self.settings) for name, p in baselines.items()
        }
        self.per_class = per_class(tuned, **self.settings)

    @property
    def models(self) -> dict[str, Sequence[Score]]:
        """Scores by model, its own first."""
        return {self.name: self.scores, **{name: scores for name, (scores, _) in self.baselines.items()}}

    @property
    def watched(self) -> float:
        """The watched metric of the tuned model."""
        return next(s.value for s in self.scores if s.name == self.recipe.watch)

    def report(self, **details: Any) -> Report:
        """The page, with what the caller knows of data, config and training."""
        return classification_report(
            self.recipe.options.name,
            self.tuned,
            self.scores,
            self.baselines,
            watch=self.recipe.watch,
            differences=self.differences,
            per_class=self.per_class,
            seed=self.settings["seed"],
            name=self.name,
            **details,
        )

    def write(self, run: RunFolder, report: Report) -> None:
        """metrics.json, predictions.csv and report.html."""
        write_metrics(
            run.metrics,
            self.scores,
            {name: scores for name, (scores, _) in self.baselines.items()},
            self.per_class,
            self.differences,
        )
        write_predictions(run.predictions, self.tuned)
        write_text(run.report, render(report))


def judge(prepared: Prepared[TextClassification[Any]], classifier: TextClassifier) -> TextEvidence:
    """The test rows through the bundle's model, with the most frequent label and the untrained backbone."""
    recipe, config = prepared.recipe, prepared.config
    device = torch.device(choose_accelerator(config.trainer))
    rows, progress = prepared.encoded.rows["test"], config.trainer.progress
    tuned = predict_rows(classifier, rows, "test rows", progress, device)
    counts = prepared.encoded.splits["train"].targets
    baselines = {"majority": majority(np.bincount(counts, minlength=len(prepared.labels)), tuned)}
    notes = []
    zero_shot = node_as(config.evaluation, TextEvaluation).zero_shot
    if zero_shot and config.adapt.method is Method.scratch:
        notes.append("adapt=scratch uses no pre-trained weights, so there is no zero-shot score")
    elif zero_shot and config.adapt.method is not Method.none:
        untrained = zero_shot_model(recipe, prepared.source, prepared.labels, prepared.encoded)
        other = ready(recipe, untrained, prepared.labels, prepared.encoded)
        baselines["zero-shot"] = predict_rows(other, rows, "test rows, zero-shot", progress, device)
    return TextEvidence(recipe, tuned, baselines, config.evaluation, config.seed, called(config), notes)


def judge_new(
    recipe: TextClassification[Any], classifier: TextClassifier, rows: Rows, config: EvaluateConfig
) -> TextEvidence:
    """New rows through a bundle's model."""
    device = torch.device(choose_accelerator(TrainerConfig(accelerator=config.accelerator)))
    tuned = predict_rows(classifier, rows, "test rows", True, device)
    notes, facts = classifier.cut()
    return TextEvidence(recipe, tuned, {}, config.evaluation, config.seed, notes=notes, facts=facts)


def split_counts(prepared: Prepared[Any]) -> dict[str, list[int]]:
    """Rows of each label by split, in the labels' order."""
    return {
        name: np.bincount(examples.targets, minlength=len(prepared.labels)).tolist()
        for name, examples in prepared.encoded.splits.items()
    }
