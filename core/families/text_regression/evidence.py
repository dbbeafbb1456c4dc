"""What is known of a model of numbers on test rows: scores, baselines, the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from tunebook.config.evaluate import EvaluateConfig
from tunebook.config.schema import TrainerConfig
from tunebook.config.score import ScoreConfig
from tunebook.data.columns import TEXT
from tunebook.data.pairs import pairs_of
from tunebook.data.rows import Rows
from tunebook.families.prepared import Prepared, called
from tunebook.families.text_regression.build import train_targets
from tunebook.families.text_regression.predictions_csv import write_numbers
from tunebook.families.text_regression.predictor import TextRegressor
from tunebook.families.text_regression.recipe import TextRegression
from tunebook.families.text_regression.report import regression_report
from tunebook.families.text_regression.ridge import fit_ridge, unanswered
from tunebook.files import write_text
from tunebook.progress import counting
from tunebook.report.files import write_metrics
from tunebook.report.report import Report, render, show_number
from tunebook.run_folder import RunFolder
from tunebook.statistics.difference import Difference
from tunebook.statistics.intervals import ROW_RESAMPLES, Score
from tunebook.statistics.numbers import ComputedOutcome, NumberPredictions, answering, number_outcomes
from tunebook.statistics.outcome_scores import outcome_difference, outcome_score
from tunebook.training.devices import choose_accelerator


class NumberEvidence:
    """Scores of a model and its baselines on the same rows.

    Args:
        recipe: Gives the metrics.
        tuned: The model's answers.
        baselines: Other answers to the same rows, by name.
        config: Confidence and resamples.
        seed: Seed of the bootstrap.
        name: What the model is called.
        notes: What a reader must know of how it was judged.
        facts: What was counted while rows were answered.
    """

    summary: Sequence[str] = ()

    def __init__(
        self,
        recipe: TextRegression[Any],
        tuned: NumberPredictions,
        baselines: Mapping[str, NumberPredictions],
        config: ScoreConfig,
        seed: int,
        name: str = "tuned",
        notes: Sequence[str] = (),
        facts: Mapping[str, str] | None = None,
    ) -> None:
        self.recipe, self.tuned = recipe, tuned
        self.notes, self.facts = tuple(notes), facts or {}
        settings: dict[str, Any] = {"confidence": config.confidence, "resamples": config.resamples, "seed": seed}
        models: dict[str, list[Score]] = {each: [] for each in (name, *baselines)}
        self.differences: dict[str, dict[str, Difference]] = {each: {} for each in baselines}
        for metric_name, metric in recipe.metrics(()).items(keep_base=True):
            outcomes = number_outcomes(metric, [tuned, *baselines.values()])
            higher = metric.higher_is_better is not False
            few = min(config.resamples, ROW_RESAMPLES) if isinstance(outcomes[0], ComputedOutcome) else config.resamples
            settings["resamples"] = few
            for scores, outcome in zip(models.values(), outcomes, strict=True):
                scores.append(outcome_score(outcome, metric_name, len(tuned), higher_is_better=higher, **settings))
            for other, outcome in zip(baselines, outcomes[1:], strict=True):
                self.differences[other][metric_name] = outcome_difference(outcomes[0], outcome, len(tuned), **settings)
        self.models: Mapping[str, Sequence[Score]] = models
        self.scores = models[name]

    @property
    def watched(self) -> float:
        """The watched metric of the model."""
        return next(score.value for score in self.scores if score.name == self.recipe.watch)

    def report(self, **details: Any) -> Report:
        """The page, with what the caller knows of data, config and training."""
        return regression_report(
            self.recipe.options.name,
            self.tuned,
            self.models,
            watch=self.recipe.watch,
            differences=self.differences,
            **details,
        )

    def write(self, run: RunFolder, report: Report) -> None:
        """metrics.json, predictions.csv and report.html."""
        baselines = dict(list(self.models.items())[1:])
        write_metrics(run.metrics, self.scores, baselines, differences=self.differences)
        write_numbers(run.predictions, self.tuned)
        write_text(run.report, render(report))


def predict_rows(
    regressor: TextRegressor, rows: Rows, what: str, progress: bool, device: torch.device
) -> NumberPredictions:
    """Answer checked rows that have a truth."""
    like = unanswered(rows)
    with counting(what, len(rows), progress) as advance:
        return replace(like, predicted=regressor.predict(rows.texts(TEXT), device, advance, pairs_of(rows)))


def judge(prepared: Prepared[TextRegression[Any]], regressor: TextRegressor) -> NumberEvidence:
    """The test rows through the bundle's model, with the mean of the training rows and TF-IDF with ridge."""
    recipe, config = prepared.recipe, prepared.config
    device = torch.device(choose_accelerator(config.trainer))
    tuned = predict_rows(regressor, prepared.encoded.rows["test"], "test rows", config.trainer.progress, device)
    baselines = {
        "mean": answering(float(train_targets(prepared.encoded).mean()), tuned),
        "ridge": fit_ridge(recipe, prepared).answer(tuned),
    }
    return NumberEvidence(recipe, tuned, baselines, config.evaluation, config.seed, called(config))


def judge_new(
    recipe: TextRegression[Any], regressor: TextRegressor, rows: Rows, config: EvaluateConfig
) -> NumberEvidence:
    """New rows through a bundle's model."""
    device = torch.device(choose_accelerator(TrainerConfig(accelerator=config.accelerator)))
    tuned = predict_rows(regressor, rows, "test rows", True, device)
    notes, facts = regressor.cut()
    return NumberEvidence(recipe, tuned, {}, config.evaluation, config.seed, notes=notes, facts=facts)


def split_counts(prepared: Prepared[Any]) -> dict[str, dict[str, float]]:
    """Rows, mean, deviation, least and greatest of the numbers of each split."""
    found = {}
    for name, examples in prepared.encoded.splits.items():
        targets = examples.targets
        values = {"mean": targets.mean(), "deviation": targets.std(), "least": targets.min(), "greatest": targets.max()}
        found[name] = {"rows": len(targets), **{what: float(value) for what, value in values.items()}}
    return found


def in_words(targets: np.ndarray) -> str:
    """Mean, deviation and range of numbers ``[rows]``."""
    mean, deviation, least, greatest = (
        show_number(float(each)) for each in (targets.mean(), targets.std(), targets.min(), targets.max())
    )
    return f"{least} to {greatest}, mean {mean}, standard deviation {deviation}"
