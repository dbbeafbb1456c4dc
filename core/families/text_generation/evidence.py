"""After tuning a model that writes: the bundle, perplexity, written answers, what tuning changed, the report."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tunebook.bundle.manifest import read_manifest
from tunebook.cli.output import print_scores
from tunebook.config.evaluate import EvaluateConfig
from tunebook.config.schema import Method, TrainerConfig
from tunebook.config.score import ScoreConfig
from tunebook.data.rows import Rows
from tunebook.families.text_generation.answers_csv import write_answers, write_losses
from tunebook.families.text_generation.bundle import write_generation_bundle
from tunebook.families.text_generation.contract import baselines_of, exchanges_of, generation_of, kept_of, measures_of
from tunebook.families.text_generation.generation_eval import HeldOut, Performance, encoded_rows, perform, written
from tunebook.families.text_generation.metrics.differences import paired_differences, sums_difference
from tunebook.families.text_generation.metrics.measures import score_answers, signatures
from tunebook.families.text_generation.metrics.report import generation_report
from tunebook.families.text_generation.predictor import Completion, TextGenerator
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
from tunebook.report.files import write_metrics
from tunebook.report.report import Report, render
from tunebook.statistics.differences import Difference
from tunebook.statistics.intervals import Score
from tunebook.statistics.sums import RowSums, score
from tunebook.training.devices import choose_accelerator

if TYPE_CHECKING:
    from tunebook.families.text_generation.recipe import TextGeneration
    from tunebook.pipeline.prepare import Prepared
    from tunebook.training.fit import Fitted

BEFORE = "before tuning"


class Evidence:
    """Scores of the tuned model and of others on the same conversations.

    Args:
        recipe: Names the watched metric and how texts are compared.
        held_out: The conversations.
        tuned: The tuned model's performance.
        others: Other models' performances, by name.
        config: Confidence and resamples.
        seed: Seed of the bootstrap.
        train: The training rows, where they are at hand.
        name: What the tuned model is called.
    """

    def __init__(
        self,
        recipe: TextGeneration[Any],
        held_out: HeldOut,
        tuned: Performance,
        others: Mapping[str, Performance],
        config: ScoreConfig,
        seed: int,
        train: Rows | None = None,
        name: str = "tuned",
    ) -> None:
        self.recipe, self.held_out, self.tuned, self.others = recipe, held_out, tuned, others
        self.train, self.name = train, name
        self.settings: dict[str, Any] = {
            "confidence": config.confidence,
            "resamples": config.resamples,
            "seed": seed,
        }
        self.texts = {"lowercase": recipe.options.lowercase, "tokenize": recipe.options.tokenize}
        self.scores: dict[str, list[Score]] = {
            name: self._scores(each) for name, each in {self.name: tuned, **others}.items()
        }
        self.differences = {name: self._differences(other) for name, other in others.items()}

    def _measures(self, model: Performance) -> dict[str, RowSums]:
        """Whether answers end, and what the recipe measures besides."""
        which = self.held_out.exchanges.rows.tolist()
        ends = {"unfinished": model.unfinished} if model.unfinished else {}
        return {**ends, **measures_of(self.recipe, self.held_out.rows, which, model.drafts, self.train)}

    def _scores(self, model: Performance) -> list[Score]:
        first = [score(model.perplexity, self.held_out.groups, **self.settings)] if model.perplexity else []
        groups = self.held_out.exchanges.groups
        more = [score(sums, groups, **self.settings) for sums in self._measures(model).values()]
        return [*first, *score_answers(model.answers, **self.texts, **self.settings), *more]

    def _differences(self, other: Performance) -> dict[str, Difference]:
        found = {}
        if self.tuned.perplexity and other.perplexity:
            found["perplexity"] = sums_difference(
                self.tuned.perplexity, other.perplexity, self.held_out.groups, **self.settings
            )
        found |= paired_differences(self.tuned.answers, other.answers, **self.texts, **self.settings)
        mine, theirs = self._measures(self.tuned), self._measures(other)
        for name in (name for name in mine if name in theirs):
            found[name] = sums_difference(mine[name], theirs[name], self.held_out.exchanges.groups, **self.settings)
        return found

    @property
    def watched(self) -> float:
        """The watched metric of the tuned model."""
        return next(s.value for s in self.scores[self.name] if s.name == self.recipe.watch)

    def report(self, **facts: Any) -> Report:
        """The page, with what the caller knows of data, config and training."""
        histories = [[(turn.role, turn.content) for turn in each] for each in self.held_out.exchanges.histories]
        return generation_report(
            self.recipe.name,
            self.tuned.answers,
            self.scores,
            answers={name: each.answers for name, each in self.others.items()},
            differences=self.differences,
            watch=self.recipe.watch,
            histories=histories,
            signatures=signatures(self.tuned.answers, **self.texts),
            name=self.name,
            **self.texts,
            **facts,
        )

    def write(self, run: RunFolder, report: Report) -> None:
        """metrics.json, predictions.csv and report.html."""
        others = {name: scores for name, scores in self.scores.items() if name != self.name}
        more = {"signatures": signatures(self.tuned.answers, **self.texts)}
        write_metrics(run.metrics, self.scores[self.name], others, differences=self.differences, more=more)
        answers = {name: each.answers for name, each in self.others.items()}
        write_answers(run.predictions, self.tuned.answers, answers, self.held_out.exchanges.turns)
        if self.tuned.perplexity is not None:
            rows = self.held_out.rows
            write_losses(run.losses, rows.texts("file"), rows.column("line").to_pylist(), self.tuned.perplexity.sums)
        write_text(run.report, render(report))


def finish(
    recipe: TextGeneration[Any],
    prepared: Prepared,
    model: Any,
    fitted: Fitted | None,
    run: RunFolder,
    record: dict[str, Any],
    facts: Mapping[str, str],
) -> float:
    """Write the bundle, score what is read back from it, and report; returns the watched test metric."""
    config, encoded = prepared.config, prepared.encoded
    finished = finished_record(record, model, fitted)
    _write_bundle(recipe, prepared, model, fitted, run, facts)
    shutil.rmtree(run.adapter, ignore_errors=True)  # they lie in the bundle now
    manifest = read_manifest(run.bundle)
    recipe.restored(manifest)  # of a bundle that an interrupted run wrote, it has told nothing yet
    writer: TextGenerator = recipe.open_bundle(run.bundle, manifest)
    device, progress = torch.device(choose_accelerator(config.trainer)), config.trainer.progress
    rows = encoded.rows["test"]
    exchanges = exchanges_of(recipe, rows, config.evaluation.answers)
    held_out = HeldOut.of(rows, encoded.splits["test"].items, exchanges, writer)  # type: ignore[arg-type]
    tuned = perform(writer, held_out, "on test rows", progress, device)
    writer.model.cpu()
    notes = [*prepared.checked.notes, *held_out.notes(len(exchanges_of(recipe, rows, None))), *tuned.notes()]
    others = {}
    if config.evaluation.zero_shot and config.adapt.method is Method.scratch:
        notes.append("adapt=scratch uses no pre-trained weights, so there is no model before tuning to compare with")
    elif config.evaluation.zero_shot and config.adapt.method is not Method.none:
        before = _writer(recipe, recipe.untuned(prepared.source), prepared)
        others[BEFORE] = perform(before, held_out, "before tuning", progress, device)
    train = encoded.rows["train"]
    for name, texts in baselines_of(recipe, rows, held_out.exchanges.rows.tolist(), train).items():
        others[name] = written(held_out, [[Completion(text)] for text in texts])
    evidence = Evidence(recipe, held_out, tuned, others, config.evaluation, config.seed, train, called(config))
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
    print_scores(evidence.scores, report.verdict)
    print(f"report: {run.report}\nmodel:  {run.bundle}")
    return evidence.watched


def _write_bundle(
    recipe: TextGeneration[Any],
    prepared: Prepared,
    model: Any,
    fitted: Fitted | None,
    run: RunFolder,
    facts: Mapping[str, str],
) -> None:
    """Unless a run that was interrupted later has written it already."""
    if run.bundle.exists():
        return
    card = {
        "data": data_without_folders(facts),
        "training": training_facts(prepared, fitted),
        "scores": _validated(recipe, fitted),
    }
    writer = _writer(recipe, model, prepared)
    seen = _seen(recipe, prepared, fitted)
    kept = kept_of(recipe, prepared.config, prepared.encoded.rows["train"])
    write_generation_bundle(run.bundle, writer, prepared.config, kept, card, run.adapter, seen)


def _validated(recipe: TextGeneration[Any], fitted: Fitted | None) -> list[str]:
    if fitted is None:
        return []
    return ["none: training ended before the first"] if fitted.best is None else [f"{recipe.watch}: {fitted.best:.4f}"]


def _writer(recipe: TextGeneration[Any], model: Any, prepared: Prepared) -> TextGenerator:
    encoded = prepared.encoded
    return TextGenerator(model, encoded.tokenizer, encoded.max_length, generation_of(recipe), recipe=recipe)


def evaluate(
    recipe: TextGeneration[Any],
    writer: TextGenerator,
    rows: Rows,
    config: EvaluateConfig,
    run: RunFolder,
    facts: Mapping[str, str],
    notes: Sequence[str],
) -> float:
    """Score a bundle's model on new rows and report; returns the watched metric."""
    device = torch.device(choose_accelerator(TrainerConfig(accelerator=config.accelerator)))
    rows, items, left_out = encoded_rows(rows, writer)
    held_out = HeldOut.of(rows, items, exchanges_of(recipe, rows, config.evaluation.answers), writer)
    tuned = perform(writer, held_out, "on test rows", True, device)
    evidence = Evidence(recipe, held_out, tuned, {}, config.evaluation, config.seed)
    subtitle = f"{Path(config.bundle)} on {config.data.test}"
    told = [*notes, *left_out, *held_out.notes(len(exchanges_of(recipe, rows, None))), *tuned.notes()]
    report = evidence.report(subtitle=subtitle, data_facts=facts, notes=told)
    evidence.write(run, report)
    print_scores(evidence.scores, report.verdict)
    return evidence.watched


def _split_counts(prepared: Prepared) -> dict[str, dict[str, int]]:
    """Conversations, and tokens learnt, by split."""
    return {
        name: {
            "conversations": len(prepared.encoded.rows[name]),
            "token rows": len(examples),
            "tokens": int(examples.lengths.sum()),
            "tokens learnt": int(examples.units.sum()) if examples.units is not None else 0,
        }
        for name, examples in prepared.encoded.splits.items()
    }


def _seen(recipe: TextGeneration[Any], prepared: Prepared, fitted: Fitted | None) -> Iterator[str]:
    """The conversations that shaped the weights, or chose among them; none of a model that was not trained."""
    for split in ("train", "validation") if fitted else ():
        yield from recipe.keys(prepared.encoded.rows[split])
