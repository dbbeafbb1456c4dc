"""After training a text classifier: the bundle, the test scores, the baselines, the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tunebook.bundle.manifest import read_manifest
from tunebook.bundle.write import write_text_bundle
from tunebook.cli.output import print_scores
from tunebook.config.evaluate import EvaluateConfig
from tunebook.config.schema import Method, TrainerConfig
from tunebook.config.score import ScoreConfig
from tunebook.data.rows import Rows
from tunebook.families.text_classification.predictor import TextClassifier
from tunebook.families.text_classification.report import classification_report
from tunebook.files import write_json, write_text
from tunebook.pipeline.facts import (
    called,
    config_facts,
    data_without_folders,
    finished_record,
    learning_curve,
    training_facts,
)
from tunebook.pipeline.run_folder import RunFolder
from tunebook.progress import counting
from tunebook.report.files import write_metrics, write_predictions
from tunebook.report.report import Report, render
from tunebook.statistics.differences import Difference, differences
from tunebook.statistics.intervals import Score
from tunebook.statistics.predictions import Predictions
from tunebook.statistics.scores import majority, per_class, score_predictions
from tunebook.training.devices import choose_accelerator

if TYPE_CHECKING:
    from tunebook.families.text_classification.recipe import TextClassification
    from tunebook.pipeline.prepare import Prepared
    from tunebook.recipe import Recipe
    from tunebook.training.fit import Fitted


def predict_rows(classifier: TextClassifier, rows: Rows, what: str, progress: bool, device: Any = None) -> Predictions:
    """Label checked rows that have a truth."""
    index = {name: i for i, name in enumerate(classifier.labels)}
    texts = rows.texts("text")
    with counting(what, len(rows), progress) as advance:
        probabilities, predicted = classifier.predict(texts, device, advance)
    return Predictions(
        labels=classifier.labels,
        target=np.array([index[label] for label in rows.texts("label")], dtype=np.int64),
        probabilities=probabilities,
        predicted=predicted,
        files=rows.texts("file"),
        lines=[int(line) for line in rows.column("line").to_pylist()],
        texts=texts,
        groups=np.array(rows.texts("group")) if "group" in rows.roles else None,
    )


class Evidence:
    """Scores of the tuned model and its baselines on the same rows.

    Args:
        recipe: Gives the metrics.
        tuned: The tuned model's predictions.
        baselines: Other predictions on the same rows, by name.
        config: Confidence and resamples.
        seed: Seed of the bootstrap.
        name: What the model is called.
    """

    def __init__(
        self,
        recipe: Recipe[Any],
        tuned: Predictions,
        baselines: Mapping[str, Predictions],
        config: ScoreConfig,
        seed: int,
        name: str = "tuned",
    ) -> None:
        self.recipe, self.name = recipe, name
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

    def report(self, **facts: Any) -> Report:
        """The page, with what the caller knows of data, config and training."""
        return classification_report(
            self.recipe.name,
            self.tuned,
            self.scores,
            self.baselines,
            watch=self.recipe.watch,
            differences=self.differences,
            per_class=self.per_class,
            seed=self.settings["seed"],
            name=self.name,
            **facts,
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


def finish(
    recipe: TextClassification[Any],
    prepared: Prepared,
    model: Any,
    fitted: Fitted | None,
    run: RunFolder,
    record: dict[str, Any],
    facts: Mapping[str, str],
) -> float:
    """Write the bundle, score what is read back from it, and report; returns the watched test metric."""
    config = prepared.config
    finished = finished_record(record, model, fitted)
    if not run.bundle.exists():
        made = recipe.classifier(model, prepared.labels, prepared.encoded)
        card = {
            "data": data_without_folders(facts),
            "training": training_facts(prepared, fitted),
            "scores": _validation_lines(recipe, fitted),
        }
        write_text_bundle(run.bundle, made, recipe, config, card, _seen_texts(prepared, fitted))
    classifier = recipe.open_bundle(run.bundle, read_manifest(run.bundle))
    device = torch.device(choose_accelerator(config.trainer))
    rows, progress = prepared.encoded.rows["test"], config.trainer.progress
    tuned = predict_rows(classifier, rows, "test rows", progress, device)
    counts = prepared.encoded.splits["train"].items.targets  # type: ignore[attr-defined]
    baselines = {"majority": majority(np.bincount(counts, minlength=len(prepared.labels)), tuned)}
    notes = list(prepared.checked.notes)
    if config.evaluation.zero_shot and config.adapt.method is not Method.none:
        other = recipe.zero_shot(prepared.source, prepared.labels, config, prepared.encoded)
        if other is None:
            notes.append("adapt=scratch uses no pre-trained weights, so there is no zero-shot score")
        else:
            baselines["zero-shot"] = predict_rows(other, rows, "test rows, zero-shot", progress, device)
    evidence = Evidence(recipe, tuned, baselines, config.evaluation, config.seed, called(config))
    report = evidence.report(
        subtitle=f"{prepared.source.name}, adapt={config.adapt.method.name}",
        history=learning_curve(run),
        split_counts=_split_counts(prepared),
        data_facts=facts,
        config_facts=config_facts(config),
        notes=notes,
    )
    write_json(run.record, finished)
    evidence.write(run, report)
    print_scores(evidence.models, report.verdict)
    print(f"report: {run.report}\nmodel:  {run.bundle}")
    return evidence.watched


def evaluate(
    recipe: TextClassification[Any],
    classifier: TextClassifier,
    rows: Rows,
    config: EvaluateConfig,
    run: RunFolder,
    facts: Mapping[str, str],
    notes: Sequence[str],
) -> float:
    """Score a bundle's model on new rows and report; returns the watched metric."""
    device = torch.device(choose_accelerator(TrainerConfig(accelerator=config.accelerator)))
    tuned = predict_rows(classifier, rows, "test rows", True, device)
    evidence = Evidence(recipe, tuned, {}, config.evaluation, config.seed)
    told = dict(facts)
    if classifier.truncated:
        told[f"texts over {classifier.max_length} tokens"] = f"{classifier.truncated} (cut)"
        print(f"note: {classifier.truncated} texts are over {classifier.max_length} tokens and were cut")
    subtitle = f"{Path(config.bundle)} on {config.data.test}"
    report = evidence.report(subtitle=subtitle, data_facts=told, notes=notes)
    evidence.write(run, report)
    print_scores(evidence.models, report.verdict)
    return evidence.watched


def _seen_texts(prepared: Prepared, fitted: Fitted | None) -> Iterator[str]:
    """The texts that shaped the weights, or chose among them; none of a model that was not trained."""
    for split in ("train", "validation") if fitted else ():
        for chunk in prepared.encoded.rows[split].column("text").chunks:
            yield from chunk.to_pylist()


def _validation_lines(recipe: Recipe[Any], fitted: Fitted | None) -> list[str]:
    return [] if fitted is None or fitted.best is None else [f"{recipe.watch}: {fitted.best:.4f}"]


def _split_counts(prepared: Prepared) -> dict[str, list[int]]:
    return {
        name: np.bincount(examples.items.targets, minlength=len(prepared.labels)).tolist()  # type: ignore[attr-defined]
        for name, examples in prepared.encoded.splits.items()
    }
