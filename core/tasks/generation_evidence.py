"""After tuning a model that writes: the bundle, perplexity, written answers, what tuning changed, the report."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tunebook.bundle.generation import write_generation_bundle
from tunebook.bundle.manifest import read_manifest
from tunebook.commands.summary import print_scores
from tunebook.config import Method, ScoreConfig, TooLong, TrainerConfig
from tunebook.data.conversations.encoded import encode_cached
from tunebook.data.conversations.rendering import Unsupervisable
from tunebook.data.packing import PackedItems, one_each
from tunebook.data.rows import Rows
from tunebook.errors import UserError
from tunebook.evaluate_config import EvaluateConfig
from tunebook.evaluation.compare import Difference
from tunebook.evaluation.files import write_answers, write_metrics
from tunebook.evaluation.generation.answers import GeneratedAnswers
from tunebook.evaluation.generation.compare import paired_differences, sums_difference
from tunebook.evaluation.generation.measures import score_answers, signatures
from tunebook.evaluation.generation.perplexity import perplexity
from tunebook.evaluation.generation.report import generation_report
from tunebook.evaluation.generation.sums import RowSums, score
from tunebook.evaluation.intervals import Score
from tunebook.evaluation.report import Report, render
from tunebook.files import write_json, write_text
from tunebook.models.generate import Generation
from tunebook.models.text import load_language_model
from tunebook.progress import counting
from tunebook.run_folder import RunFolder
from tunebook.tasks.conversation_examples import scored_rows
from tunebook.tasks.exchanges import Exchanges
from tunebook.tasks.run_facts import (
    config_facts,
    data_without_folders,
    finished_record,
    learning_curve,
    training_facts,
)
from tunebook.tasks.writer import Writer
from tunebook.training.devices import choose_accelerator

if TYPE_CHECKING:
    from tunebook.commands.setup import Prepared
    from tunebook.tasks.text_generation import TextGeneration
    from tunebook.training.fit import Fitted

BEFORE = "before tuning"


@dataclass(frozen=True)
class HeldOut:
    """Held-out conversations as a model is scored on them.

    Attributes:
        rows: The conversations.
        items: Their token rows, one to a pack.
        exchanges: The turns that are written.
        prompts: Token ids of what is asked for each.
        left_out: Turns that cannot be asked, as they are too long.
        shortened: Turns that are asked without the earliest ones before them.
    """

    rows: Rows
    items: PackedItems
    exchanges: Exchanges
    prompts: list[np.ndarray]
    left_out: int
    shortened: int

    @classmethod
    def of(cls, rows: Rows, items: PackedItems, exchanges: Exchanges, writer: Writer) -> HeldOut:
        """Encode what is asked."""
        prompts, kept = [], []
        writer.truncated = 0
        for number, history in enumerate(exchanges.histories):
            try:
                prompts.append(writer.asked(history))
                kept.append(number)
            except Unsupervisable:
                continue
        return cls(rows, items, exchanges.take(kept), prompts, len(exchanges) - len(kept), writer.truncated)

    @property
    def groups(self) -> np.ndarray | None:
        """What is resampled together where conversations are no independent evidence."""
        return np.array(self.rows.texts("group")) if "group" in self.rows.roles else None

    def notes(self, total: int) -> list[str]:
        """What a reader must know of the written answers."""
        notes = []
        if len(set(self.exchanges.rows.tolist())) < total:
            notes.append(
                f"Perplexity is over all {total:,} test conversations; {len(self.exchanges):,} answers of "
                f"{len(set(self.exchanges.rows.tolist())):,} of them were written and compared (evaluation.answers)."
            )
        if self.shortened:
            notes.append(f"{self.shortened} turns were asked without the earliest turns before them, for length.")
        if self.left_out:
            notes.append(f"{self.left_out} turns were not asked: with their question alone they are too long.")
        if self.exchanges.unclaimed:
            notes.append(
                f"{self.exchanges.unclaimed} required facts stand in no given answer word for word, and were asked of "
                "none."
            )
        return notes


@dataclass(frozen=True)
class Performance:
    """One model on the held-out conversations.

    Attributes:
        perplexity: Loss and tokens of each conversation.
        answers: What it wrote.
    """

    perplexity: RowSums
    answers: GeneratedAnswers


def perform(writer: Writer, held_out: HeldOut, what: str, progress: bool, device: torch.device) -> Performance:
    """Measure a model's losses, and let it write."""
    items = held_out.items
    with counting(f"perplexity {what}", len(items), progress) as advance:
        losses, tokens = writer.losses(items, device, advance)
    sums = scored_rows(items, losses, tokens, len(held_out.rows))
    with counting(f"answers {what}", len(held_out.prompts), progress) as advance:
        written = writer.write(held_out.prompts, device, advance)
    return Performance(perplexity(sums[:, 0], sums[:, 1]), held_out.exchanges.answered(written))


class Evidence:
    """Scores of the tuned model and of others on the same conversations.

    Args:
        recipe: Names the watched metric and how texts are compared.
        held_out: The conversations.
        tuned: The tuned model's performance.
        others: Other models' performances, by name.
        config: Confidence and resamples.
        seed: Seed of the bootstrap.
    """

    def __init__(
        self,
        recipe: TextGeneration[Any],
        held_out: HeldOut,
        tuned: Performance,
        others: Mapping[str, Performance],
        config: ScoreConfig,
        seed: int,
    ) -> None:
        self.recipe, self.held_out, self.tuned, self.others = recipe, held_out, tuned, others
        self.settings: dict[str, Any] = {
            "confidence": config.confidence,
            "resamples": config.resamples,
            "seed": seed,
        }
        self.texts = {"lowercase": recipe.options.lowercase, "tokenize": recipe.options.tokenize}
        self.scores: dict[str, list[Score]] = {
            name: self._scores(each) for name, each in {"tuned": tuned, **others}.items()
        }
        self.differences = {name: self._differences(other) for name, other in others.items()}

    def _scores(self, model: Performance) -> list[Score]:
        first = score(model.perplexity, self.held_out.groups, **self.settings)
        return [first, *score_answers(model.answers, **self.texts, **self.settings)]

    def _differences(self, other: Performance) -> dict[str, Difference]:
        first = sums_difference(self.tuned.perplexity, other.perplexity, self.held_out.groups, **self.settings)
        return {
            "perplexity": first,
            **paired_differences(self.tuned.answers, other.answers, **self.texts, **self.settings),
        }

    @property
    def watched(self) -> float:
        """The watched metric of the tuned model."""
        return next(s.value for s in self.scores["tuned"] if s.name == self.recipe.watch)

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
            **facts,
        )

    def write(self, run: RunFolder, report: Report) -> None:
        """metrics.json, predictions.csv and report.html."""
        others = {name: scores for name, scores in self.scores.items() if name != "tuned"}
        more = {"signatures": signatures(self.tuned.answers, **self.texts)}
        write_metrics(run.metrics, self.scores["tuned"], others, differences=self.differences, more=more)
        answers = {name: each.answers for name, each in self.others.items()}
        write_answers(run.predictions, self.tuned.answers, answers, self.held_out.exchanges.turns)
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
    writer: Writer = recipe.open_bundle(run.bundle, read_manifest(run.bundle))
    device, progress = torch.device(choose_accelerator(config.trainer)), config.trainer.progress
    rows = encoded.rows["test"]
    exchanges = recipe.exchanges(rows, config.evaluation.answers, config.seed)
    held_out = HeldOut.of(rows, encoded.splits["test"].items, exchanges, writer)  # type: ignore[arg-type]
    tuned = perform(writer, held_out, "on test rows", progress, device)
    writer.model.cpu()
    notes = [*prepared.checked.notes, *held_out.notes(len(rows))]
    others = {}
    if config.evaluation.zero_shot and config.adapt.method is Method.scratch:
        notes.append("adapt=scratch uses no pre-trained weights, so there is no model before tuning to compare with")
    elif config.evaluation.zero_shot and config.adapt.method is not Method.none:
        before = _writer(recipe, load_language_model(prepared.source), prepared)
        others[BEFORE] = perform(before, held_out, "before tuning", progress, device)
    evidence = Evidence(recipe, held_out, tuned, others, config.evaluation, config.seed)
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
        "scores": [] if fitted is None or fitted.best is None else [f"{recipe.watch}: {fitted.best:.4f}"],
    }
    writer = _writer(recipe, model, prepared)
    seen = _seen(recipe, prepared, fitted)
    write_generation_bundle(run.bundle, writer, recipe, prepared.config, card, run.adapter, seen)


def _writer(recipe: TextGeneration[Any], model: Any, prepared: Prepared) -> Writer:
    generation = Generation(max_new_tokens=recipe.options.max_new_tokens)
    return Writer(model, prepared.encoded.tokenizer, prepared.encoded.max_length, generation)


def evaluate(
    recipe: TextGeneration[Any],
    writer: Writer,
    rows: Rows,
    config: EvaluateConfig,
    run: RunFolder,
    facts: Mapping[str, str],
    notes: Sequence[str],
) -> float:
    """Score a bundle's model on new rows and report; returns the watched metric."""
    device = torch.device(choose_accelerator(TrainerConfig(accelerator=config.accelerator)))
    rows, items, left_out = _encoded(rows, writer)
    held_out = HeldOut.of(rows, items, recipe.exchanges(rows, config.evaluation.answers, config.seed), writer)
    tuned = perform(writer, held_out, "on test rows", True, device)
    evidence = Evidence(recipe, held_out, tuned, {}, config.evaluation, config.seed)
    subtitle = f"{Path(config.bundle)} on {config.data.test}"
    report = evidence.report(subtitle=subtitle, data_facts=facts, notes=[*notes, *left_out, *held_out.notes(len(rows))])
    evidence.write(run, report)
    print_scores(evidence.scores, report.verdict)
    return evidence.watched


def _encoded(rows: Rows, writer: Writer) -> tuple[Rows, PackedItems, list[str]]:
    """New conversations as token rows; those that the model's template cannot write are left out, and told of."""
    with tempfile.TemporaryDirectory(prefix="tunebook-evaluate-") as scratch:
        found = encode_cached(rows, writer.template, writer.max_length, TooLong.split_turns, Path(scratch))
        kept = found.kept
        if not len(kept):
            reason = next(iter(found.rejected.values()))[0]
            raise UserError(f"No conversation can be scored: {reason}.", where=rows.where(0), mend="give other rows")
        sources = np.searchsorted(kept, found.sources)
        items = PackedItems(np.array(found.ids), np.array(found.learnt), found.offsets, one_each(len(found)), sources)
    if not found.rejected:
        return rows, items, []
    number, reasons = next(iter(found.rejected.items()))
    note = (
        f"{len(rows) - len(kept)} conversations, and answers of {len(found.rejected) - (len(rows) - len(kept))} others, "
        f"cannot be scored, such as {rows.where(number)}: {reasons[0]}"
    )
    print(f"note: {note}")
    return rows.take(kept), items, [note]


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
