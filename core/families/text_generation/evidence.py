"""What is known of a model that writes on test rows: perplexity, written answers, what tuning changed, the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.config.score import ScoreConfig
from tunebook.data.rows import Rows
from tunebook.families.evidence import Evidence, resampling
from tunebook.families.text_generation.answers_csv import write_answers, write_losses
from tunebook.families.text_generation.contract import measures_of
from tunebook.families.text_generation.data.message import Message
from tunebook.families.text_generation.forgetting import Forgetting
from tunebook.families.text_generation.generation_eval import HeldOut, Performance
from tunebook.families.text_generation.metrics.answers import GeneratedAnswers
from tunebook.families.text_generation.metrics.differences import paired_differences
from tunebook.families.text_generation.metrics.grounding import grounding_measures
from tunebook.families.text_generation.metrics.measures import score_answers, signatures
from tunebook.families.text_generation.metrics.names import ordinary_words
from tunebook.families.text_generation.metrics.report import generation_report
from tunebook.families.text_generation.metrics.tool_calls import tool_measures
from tunebook.families.text_generation.recipe import TextGeneration
from tunebook.report.report import Report
from tunebook.run_folder import RunFolder
from tunebook.statistics.difference import Difference
from tunebook.statistics.intervals import Score
from tunebook.statistics.outcomes import sums_outcome
from tunebook.statistics.subgroups import Part
from tunebook.statistics.sums import RowSums, score
from tunebook.statistics.sums_difference import sums_difference


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
        forgetting: What tuning did to the rest of what the model can do; None where that was not measured.
    """

    recipe: TextGeneration[Any]
    held_out: HeldOut
    tuned: Performance
    others: Mapping[str, Performance]
    config: ScoreConfig
    seed: int
    train: Rows | None = None
    name: str = "tuned"
    forgetting: Forgetting | None = None

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
        """Whether answers end, what the recipe measures besides, and how tools are called."""
        questions = self.held_out.questions
        ends = {"unfinished": model.unfinished} if model.unfinished else {}
        own = measures_of(self.recipe, self.held_out.rows, questions.rows.tolist(), model.completions, self.train)
        outputs = model.answers.outputs
        tools = {} if questions.calls is None else tool_measures(questions.calls, questions.offered, outputs)
        return {**ends, **own, **grounding_measures(questions.sources, outputs, self._ordinary), **tools}

    @cached_property
    def _ordinary(self) -> frozenset[str]:
        """Words of the references that are no names despite a capital."""
        return ordinary_words(text for texts in self.held_out.questions.references for text in texts)

    def _likened(self, model: Performance) -> GeneratedAnswers:
        """The answers that are compared with their references as texts: those to turns that are no tool call."""
        questions = self.held_out.questions
        return model.answers if questions.calls is None else model.answers.take(questions.texts)

    def _scores(self, model: Performance) -> list[Score]:
        first = [score(measure, self.held_out.groups, **self.settings) for measure in model.likelihoods]
        groups = self.held_out.questions.groups
        more = [score(sums, groups, **self.settings) for sums in self._measures(model).values()]
        return [*first, *score_answers(self._likened(model), **self.texts, **self.settings), *more]

    def _differences(self, other: Performance) -> dict[str, Difference]:
        found = {}
        for own, another in zip(self.tuned.likelihoods, other.likelihoods, strict=False):
            found[own.name] = sums_difference(own, another, self.held_out.groups, **self.settings)
        found |= paired_differences(self._likened(self.tuned), self._likened(other), **self.texts, **self.settings)
        mine, theirs = self._measures(self.tuned), self._measures(other)
        for name in (name for name in mine if name in theirs):
            found[name] = sums_difference(mine[name], theirs[name], self.held_out.questions.groups, **self.settings)
        return found

    def part(self, rows: NDArray[np.int64]) -> Part:
        """The watched metric of some conversations: of all their tokens, or of what was generated for them."""
        watch, groups, which = self.recipe.watch, self.held_out.groups, rows
        sums = next((measure for measure in self.tuned.likelihoods if measure.name == watch), None)
        if sums is None:
            questions = self.held_out.questions
            sums, groups = self._measures(self.tuned)[watch], questions.groups
            which = np.flatnonzero(np.isin(questions.rows, rows))
        some, together = replace(sums, sums=sums.sums[which]), None if groups is None else groups[which]
        scored = score(some, together, **self.settings)
        return Part(scored, sums_outcome(some, together) if scored.defined else None)

    def more(self) -> Mapping[str, Any]:
        """Settings that give the same numbers elsewhere."""
        found: dict[str, Any] = {"signatures": signatures(self._likened(self.tuned), **self.texts)}
        if self.forgetting:
            found["forgetting"] = self.forgetting.to_json()
            if self.forgetting.shown:
                found["unfit"] = f"it has forgotten: {self.forgetting.sentence()}"
        return found

    def report(self, **details: Any) -> Report:
        """The page, with what the caller knows of data, config and training."""
        questions = self.held_out.questions
        histories = [_shown(questions.histories[i]) for i in questions.texts]
        return generation_report(
            self.recipe.options.name,
            self._likened(self.tuned),
            self.models,
            answers={name: self._likened(each) for name, each in self.others.items()},
            differences=self.differences,
            headline=self.recipe.headline,
            histories=histories,
            signatures=signatures(self._likened(self.tuned), **self.texts),
            name=self.name,
            own=[*([self.forgetting.table()] if self.forgetting else []), *self.groups_of_rows.sections()],
            warnings=self.forgetting.verdict() if self.forgetting else (),
            **self.texts,
            **details,
        )

    def write(self, run: RunFolder, report: Report) -> None:
        """metrics.json, predictions.csv and report.html."""
        answers = {name: each.answers for name, each in self.others.items()}
        write_answers(run.predictions, self.tuned.answers, answers, self.held_out.questions.turns)
        if self.tuned.perplexity is not None and self.tuned.bits_per_byte is not None:
            rows, said = self.held_out.rows, self.tuned.bits_per_byte.sums[:, 1]
            write_losses(run.losses, rows.texts("file"), rows.lines, self.tuned.perplexity.sums, said)
        super().write(run, report)


def _shown(history: Sequence[Message]) -> list[tuple[str, str]]:
    """The turns before an answer, and the documents that it is to be drawn from."""
    turns: list[tuple[str, str]] = [(turn.role, turn.text) for turn in history]
    context = history[0].context
    return turns if context is None else [*turns[:-1], ("context", "\n\n".join(context.documents)), turns[-1]]
