"""The report of a classifier: what tuning bought, how surely, and where the model is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tunebook.evaluation import figures
from tunebook.evaluation.calibration import calibration_score
from tunebook.evaluation.compare import Difference
from tunebook.evaluation.intervals import Score
from tunebook.evaluation.predictions import Predictions
from tunebook.evaluation.report import Cell, Figure, Report, Section, Table, Text, show_name
from tunebook.evaluation.scores import LabelScores

Baselines = Mapping[str, tuple[Sequence[Score], Predictions]]
Differences = Mapping[str, Mapping[str, Difference]]
MISTAKES, EXCERPT = 15, 300


def classification_report(
    title: str,
    predictions: Predictions,
    scores: Sequence[Score],
    baselines: Baselines,
    *,
    watch: str,
    differences: Differences | None = None,
    per_class: Sequence[LabelScores] = (),
    history: Sequence[Mapping[str, Any]] = (),
    split_counts: Mapping[str, Sequence[int]] | None = None,
    data_facts: Mapping[str, str] | None = None,
    config_facts: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    subtitle: str = "",
    resamples: int = 1000,
    seed: int = 0,
) -> Report:
    """Put the evidence about a classifier together.

    Args:
        title: Name of the recipe.
        predictions: The tuned model on the test rows.
        scores: Its scores.
        baselines: Baseline name ("majority", "zero-shot" ...) -> its scores and predictions on the same rows.
        watch: Name of the metric that the verdict speaks of.
        differences: Baseline name -> metric -> tuned minus baseline.
        per_class: Scores of each label.
        history: Rows for `figures.learning_curve`.
        split_counts: Split name -> rows of each label `[labels]`.
        data_facts: Rows read, kept, rejected, dropped, truncated ...: what -> how many.
        config_facts: Config key -> value.
        notes: Anything a reader must know, one paragraph each.
        subtitle: Model, adaptation, time: one line.
        resamples: Bootstrap resamples behind the calibration error's interval.
        seed: Seed of these resamples.
    """
    models = {"tuned": scores, **{name: each for name, (each, _) in baselines.items()}}
    sections: list[Section] = [_scores_table(models)]
    if any(score.defined for score in scores):
        sections.append(Figure("Scores beside the baselines", figures.scores_with_intervals(models)))
    if notes:
        sections.append(Text("Notes", notes))
    if per_class:
        sections.append(_label_table(per_class))
    sections.append(
        Figure(
            "Confusion matrix",
            figures.confusion_matrix(predictions.confusion(), predictions.labels),
            "Rows are the truth, columns the answers; colour and per cent are shares of the row.",
        )
    )
    if len(predictions):
        sections += [_confidence(predictions, resamples, seed), _mistakes(predictions)]
    if history:
        sections.append(Figure("Learning curve", figures.learning_curve(history)))
    if split_counts:
        sections.append(_splits_table(predictions.labels, split_counts))
    if data_facts:
        sections.append(Table("Data", ["what", "value"], [list(fact) for fact in data_facts.items()]))
    if config_facts:
        sections.append(Table("Configuration", ["key", "value"], [list(fact) for fact in config_facts.items()]))
    return Report(title, subtitle, verdict(scores, baselines, differences or {}, watch), sections)


def verdict(scores: Sequence[Score], baselines: Baselines, differences: Differences, watch: str) -> list[str]:
    """Say in words what the watched metric shows, and against each baseline only what the rows allow."""
    tuned = next((score for score in scores if score.name == watch), None)
    if tuned is None:
        return []
    name = show_name(watch)
    if not tuned.defined:
        return [f"{_capital(name)} is undefined on these test rows: {tuned.reason}."]
    direction = "" if tuned.higher_is_better else " (lower is better)"
    sentences = [f"{_capital(name)}{direction} {_with_interval(tuned)}."]
    for baseline, (others, _) in baselines.items():
        other = next((score for score in others if score.name == watch), None)
        difference = differences.get(baseline, {}).get(watch)
        if other is not None and other.defined:
            sentences.append(_against(baseline, other, difference, tuned.higher_is_better))
    return sentences


def _against(baseline: str, other: Score, difference: Difference | None, higher_is_better: bool) -> str:
    start = f"Against {other.value:.2f} for {_SPELLED.get(baseline, baseline)}"
    if difference is None:
        return f"{start}; the two were not compared row by row."
    if not difference.distinguishable:
        interval = f"{difference.value:+.2f} ({difference.low:+.2f} to {difference.high:+.2f})"
        return f"{start}: the difference {interval} may be chance; the test rows cannot show one."
    better = (difference.value > 0) == higher_is_better
    low, high = sorted((abs(difference.low), abs(difference.high)))
    gain = f"{'better' if better else 'worse'} by {abs(difference.value):.2f} ({low:.2f} to {high:.2f})"
    return f"{start}: {gain}, more than chance among {difference.n} test rows explains."


_SPELLED = {
    "majority": "always answering the commonest training label",
    "shares": "the labels' shares of the training rows, whatever the image",
    "zero-shot": "the model before any training",
    "zero_shot": "the model before any training",
}


def _with_interval(score: Score) -> str:
    if np.isnan(score.low):
        return f"{score.value:.2f} (n = {score.n}; no interval: {score.reason})"
    percent = f"{100 * score.confidence:g} %"
    return f"{score.value:.2f} ({percent} interval {score.low:.2f} to {score.high:.2f}, n = {score.n})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _scores_table(models: Mapping[str, Sequence[Score]]) -> Table:
    names = list(dict.fromkeys(score.name for scores in models.values() for score in scores))
    found = {model: {score.name: score for score in scores} for model, scores in models.items()}
    rows: list[list[Cell]] = []
    for name in names:
        scored = [found[model].get(name) for model in models]
        known = next(score for score in scored if score is not None)
        direction = "" if known.higher_is_better else " (lower is better)"
        rows.append([show_name(name) + direction, *scored, known.method])
    first = next(iter(models["tuned"]), None)
    confidence, n = (first.confidence, first.n) if first else (0.95, 0)
    reasons = {f"{show_name(s.name)}: {s.reason}" for scores in models.values() for s in scores if s.reason}
    note = f"Beneath each score its {100 * confidence:g} % interval; {n} test rows."
    return Table("Scores", ["metric", *models, "interval by"], rows, " ".join([note, *sorted(reasons)]))


def _label_table(per_class: Sequence[LabelScores]) -> Table:
    rows: list[list[Cell]] = [[row.label, row.n, row.precision, row.recall, row.f1] for row in per_class]
    return Table("Label by label", ["label", "test rows", "precision", "recall", "F1"], rows)


def _confidence(predictions: Predictions, resamples: int, seed: int) -> Figure:
    error = calibration_score(predictions, resamples=resamples, seed=seed)
    return Figure(
        "Confidence",
        figures.confidence(predictions),
        "Points below the dashed line are answers surer than right. "
        f"Expected calibration error {_with_interval(error)}.",
    )


def _mistakes(predictions: Predictions) -> Section:
    """List the wrong answers that the model was surest of."""
    wrong = np.flatnonzero(predictions.predicted != predictions.target)
    if not len(wrong):
        return Text("Worst mistakes", [f"None of the {len(predictions)} test rows was answered wrongly."])
    surest = wrong[np.argsort(-predictions.confidence()[wrong], kind="stable")][:MISTAKES]
    rows: list[list[Cell]] = [
        [
            f"{predictions.files[i]}:{predictions.lines[i]}",
            _excerpt(predictions.texts[i]),
            predictions.labels[predictions.target[i]],
            predictions.labels[predictions.predicted[i]],
            float(predictions.confidence()[i]),
        ]
        for i in surest
    ]
    note = f"The {len(rows)} of {len(wrong)} wrong answers that the model was surest of."
    return Table("Worst mistakes", ["row", "text", "truth", "predicted", "probability"], rows, note)


def _excerpt(text: str) -> str:
    return text if len(text) <= EXCERPT else text[: EXCERPT - 1].rstrip() + "…"


def _splits_table(labels: Sequence[str], split_counts: Mapping[str, Sequence[int]]) -> Table:
    counts = {split: [int(count) for count in each] for split, each in split_counts.items()}
    rows: list[list[Cell]] = [[label, *(each[i] for each in counts.values())] for i, label in enumerate(labels)]
    total: list[Cell] = ["all", *(sum(each) for each in counts.values())]
    return Table("Rows of each label", ["label", *counts], [*rows, total])
