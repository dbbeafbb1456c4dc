"""What is known of a model that writes on test rows: perplexity, written answers, what tuning changed, the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from tunebook.config.evaluate import EvaluateConfig
from tunebook.config.schema import Method, TrainerConfig
from tunebook.config.score import ScoreConfig
from tunebook.data.rows import Rows
from tunebook.families.evidence import Evidence, resampling
from tunebook.families.family import node_as
from tunebook.families.prepared import Prepared, called
from tunebook.families.text_generation.answers_csv import write_answers, write_losses
from tunebook.families.text_generation.bundle import ready
from tunebook.families.text_generation.completion import Completion
from tunebook.families.text_generation.contract import baselines_of, evaluation_prompts_of, measures_of
from tunebook.families.text_generation.generation_eval import HeldOut, Performance, encoded_rows, perform, written
from tunebook.families.text_generation.metrics.differences import paired_differences
from tunebook.families.text_generation.metrics.measures import score_answers, signatures
from tunebook.families.text_generation.metrics.report import generation_report
from tunebook.families.text_generation.model.causal import load_writing
from tunebook.families.text_generation.options import GenerationEvaluation, GenerationScore
from tunebook.families.text_generation.predictor import TextGenerator
from tunebook.families.text_generation.recipe import TextGeneration
from tunebook.report.report import Report
from tunebook.run_folder import RunFolder
from tunebook.statistics.difference import Difference
from tunebook.statistics.intervals import Score
from tunebook.statistics.sums import RowSums, score
from tunebook.statistics.sums_difference import sums_difference
from tunebook.training.devices import choose_accelerator

BEFORE = "before tuning"


@dataclass(frozen=True)
class GenerationEvidence(Evidence):
    """Scores of the tuned model and of others on the same conversations.

    Attributes:
        recipe: Names the watched metric and how texts are compared.
        held_out: The conversations.
        tuned: The tuned model's performance.
        others: Other models' performances, by name.
        config: Confidence and resamples.
        seed: Seed of the bootstrap.
        train: The training rows, where they are at hand.
        name: What the tuned model is called.
    """

    recipe: TextGeneration[Any]
    held_out: HeldOut
    tuned: Performance
    others: Mapping[str, Performance]
    config: ScoreConfig
    seed: int
    train: Rows | None = None
    name: str = "tuned"

    @property
    def settings(self) -> dict[str, Any]:
        """How intervals are made."""
        return resampling(self.config, self.seed)

    @property
    def texts(self) -> dict[str, Any]:
        """How texts are compared."""
        return {"lowercase": self.recipe.options.lowercase, "tokenize": self.recipe.options.bleu_tokenizer}

    @cached_property
    def models(self) -> Mapping[str, Sequence[Score]]:
        """Scores by model, its own first."""
        return {name: self._scores(each) for name, each in {self.name: self.tuned, **self.others}.items()}

    @cached_property
    def differences(self) -> Mapping[str, Mapping[str, Difference]]:
        """Another model -> metric -> the model minus that one."""
        return {name: self._differences(other) for name, other in self.others.items()}

    def _measures(self, model: Performance) -> dict[str, RowSums]:
        """Whether answers end, and what the recipe measures besides."""
        which = self.held_out.questions.rows.tolist()
        ends = {"unfinished": model.unfinished} if model.unfinished else {}
        return {**ends, **measures_of(self.recipe, self.held_out.rows, which, model.completions, self.train)}

    def _scores(self, model: Performance) -> list[Score]:
        first = [score(model.perplexity, self.held_out.groups, **self.settings)] if model.perplexity else []
        groups = self.held_out.questions.groups
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
            found[name] = sums_difference(mine[name], theirs[name], self.held_out.questions.groups, **self.settings)
        return found

    def more(self) -> Mapping[str, Any]:
        """Settings that give the same numbers elsewhere."""
        return {"signatures": signatures(self.tuned.answers, **self.texts)}

    def report(self, **details: Any) -> Report:
        """The page, with what the caller knows of data, config and training."""
        histories = [[(turn.role, turn.content) for turn in each] for each in self.held_out.questions.histories]
        return generation_report(
            self.recipe.options.name,
            self.tuned.answers,
            self.models,
            answers={name: each.answers for name, each in self.others.items()},
            differences=self.differences,
            watch=self.recipe.watch,
            histories=histories,
            signatures=signatures(self.tuned.answers, **self.texts),
            name=self.name,
            **self.texts,
            **details,
        )

    def write(self, run: RunFolder, report: Report) -> None:
        """metrics.json, predictions.csv and report.html."""
        answers = {name: each.answers for name, each in self.others.items()}
        write_answers(run.predictions, self.tuned.answers, answers, self.held_out.questions.turns)
        if self.tuned.perplexity is not None:
            rows = self.held_out.rows
            write_losses(run.losses, rows.texts("file"), rows.column("line").to_pylist(), self.tuned.perplexity.sums)
        super().write(run, report)


def judge(prepared: Prepared[TextGeneration[Any]], writer: TextGenerator) -> GenerationEvidence:
    """The test rows through the bundle's model, with the untuned model and the recipe's baselines."""
    recipe, config, encoded = prepared.recipe, prepared.config, prepared.encoded
    device, progress = torch.device(choose_accelerator(config.trainer)), config.trainer.progress
    rows, train = encoded.rows["test"], encoded.rows["train"]
    wanted = node_as(config.evaluation, GenerationEvaluation)
    questions = evaluation_prompts_of(recipe, rows, wanted.max_generations)
    held_out = HeldOut.of(rows, encoded.splits["test"].items, questions, writer)  # type: ignore[arg-type]
    tuned = perform(writer, held_out, "on test rows", progress, device)
    writer.model.cpu()
    notes = [*held_out.notes(len(evaluation_prompts_of(recipe, rows, None))), *tuned.notes()]
    others = {}
    if wanted.zero_shot and config.adapt.method is Method.scratch:
        notes.append("adapt=scratch uses no pre-trained weights, so there is no model before tuning to compare with")
    elif wanted.zero_shot and config.adapt.method is not Method.none:
        before = ready(prepared, load_writing(prepared.source))
        others[BEFORE] = perform(before, held_out, "before tuning", progress, device)
    for name, texts in baselines_of(recipe, rows, held_out.questions.rows.tolist(), train).items():
        others[name] = written(held_out, [[Completion(text)] for text in texts])
    return GenerationEvidence(
        recipe, held_out, tuned, others, config.evaluation, config.seed, train, called(config), notes=notes
    )


def judge_new(
    recipe: TextGeneration[Any], writer: TextGenerator, rows: Rows, config: EvaluateConfig
) -> GenerationEvidence:
    """New rows through a bundle's model."""
    device = torch.device(choose_accelerator(TrainerConfig(accelerator=config.accelerator)))
    rows, items, left_out = encoded_rows(rows, writer)
    wanted = node_as(config.evaluation, GenerationScore).max_generations
    held_out = HeldOut.of(rows, items, evaluation_prompts_of(recipe, rows, wanted), writer)
    tuned = perform(writer, held_out, "on test rows", True, device)
    notes = [*left_out, *held_out.notes(len(evaluation_prompts_of(recipe, rows, None))), *tuned.notes()]
    return GenerationEvidence(recipe, held_out, tuned, {}, config.evaluation, config.seed, notes=notes)


def split_counts(prepared: Prepared[Any]) -> dict[str, dict[str, int]]:
    """Conversations, and tokens supervised, by split."""
    return {
        name: {
            "conversations": len(prepared.encoded.rows[name]),
            "token rows": len(examples),
            "tokens": int(examples.lengths.sum()),
            "supervised tokens": int(examples.units.sum()) if examples.units is not None else 0,
        }
        for name, examples in prepared.encoded.splits.items()
    }
