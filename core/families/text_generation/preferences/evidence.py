"""What preferences tuned: how often the better answer is preferred on test rows, and what that cost the answers."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tunebook.config.schema import Objective
from tunebook.data.rows import Rows
from tunebook.families.attempt import attempt
from tunebook.families.family import node_as
from tunebook.families.prepared import Prepared, called
from tunebook.families.strata import Strata, resampling
from tunebook.families.text_generation.bundle import ready
from tunebook.families.text_generation.contract import evaluation_prompts_of
from tunebook.families.text_generation.evidence import GenerationEvidence
from tunebook.families.text_generation.forgetting import Forgetting, Probes
from tunebook.families.text_generation.generation_eval import HeldOut, perform
from tunebook.families.text_generation.metrics.dialogues import BASE
from tunebook.families.text_generation.model.causal import load_writing
from tunebook.families.text_generation.options import GenerationEvaluation, PreferenceObjective
from tunebook.families.text_generation.predictor import TextGenerator
from tunebook.families.text_generation.preferences.columns import CHOSEN, GOOD, REJECTED
from tunebook.families.text_generation.preferences.items import PreferenceItems
from tunebook.families.text_generation.preferences.task import WATCHED
from tunebook.files import written_whole
from tunebook.progress import counting
from tunebook.report.report import Report, show_name
from tunebook.report.verdicts import capital
from tunebook.run_folder import RunFolder
from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.intervals import Score
from tunebook.statistics.outcomes import sums_outcome
from tunebook.statistics.ranking_scores import ranking_scores
from tunebook.statistics.subgroups import Part
from tunebook.statistics.sums import RowSums, ratio, score
from tunebook.training.devices import choose_accelerator

MARGIN = "reward_margin"


@dataclass(frozen=True)
class Rewards:
    """Implicit rewards of test answers: beta times how much likelier tuning made each, in nats.

    Attributes:
        objective: DPO or KTO.
        values: Of the chosen and the rejected answer ``[rows, 2]``, or of the one answer ``[rows, 1]``.
        good: Whether the first is good, bool ``[rows]``.
        rows: The test rows.
    """

    objective: Objective
    values: NDArray[np.float64]
    good: NDArray[np.bool_]
    rows: Rows

    def scores(self, which: NDArray[np.int64] | None = None, **settings: Any) -> list[Score]:
        """The watched score and the margin, of some rows or of all."""
        some = np.arange(len(self.rows)) if which is None else which
        groups = None if self.rows.groups is None else self.rows.groups[some]
        first = self._auroc(some, groups, **settings) if self.objective is Objective.kto else None
        first = first or score(self.right(some), groups, **settings)
        return [first, score(self.margin(some), groups, **settings)]

    def right(self, some: NDArray[np.int64]) -> RowSums:
        """Share of the pairs whose chosen answer has the higher reward."""
        hits = self.values[some, 0] > self.values[some, 1]
        return RowSums(WATCHED[Objective.dpo], np.stack([hits, np.ones(len(some))], axis=1).astype(float), share=True)

    def margin(self, some: NDArray[np.int64]) -> RowSums:
        """Mean reward of the better answers less that of the worse ones."""
        if self.objective is Objective.dpo:
            apart = self.values[some, 0] - self.values[some, 1]
            return RowSums(MARGIN, np.stack([apart, np.ones(len(some))], axis=1))
        good, values = self.good[some].astype(float), self.values[some, 0]
        sums = np.stack([values * good, good, values * (1 - good), 1 - good], axis=1)
        return RowSums(MARGIN, sums, lambda each: ratio(each[..., :2]) - ratio(each[..., 2:]))

    def _auroc(self, some: NDArray[np.int64], groups: NDArray[Any] | None, **settings: Any) -> Score:
        ranked = FindingPredictions(
            (GOOD,),
            self.good[some].astype(np.int64)[:, None],
            self.values[some],
            [""] * len(some),
            [0] * len(some),
            [""] * len(some),
            groups,
        )
        (found, _) = ranking_scores(ranked, **settings)[GOOD]
        return replace(found, name=WATCHED[Objective.kto])

    def write(self, run: RunFolder) -> None:
        """preferences.csv: the rewards of each test row."""
        pairs = self.objective is Objective.dpo
        names = [f"reward_{CHOSEN}", f"reward_{REJECTED}"] if pairs else [GOOD, "reward"]
        with written_whole(run.preferences) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["file", "line", *names])
            places = zip(self.rows.texts("file"), self.rows.lines, self.good, self.values, strict=True)
            for place, line, good, values in places:
                shown = [f"{value:.6g}" for value in values]
                writer.writerow([place, line, *(shown if pairs else [str(bool(good)).lower(), *shown])])


@dataclass(frozen=True)
class PreferenceEvidence(GenerationEvidence):
    """The evidence of supervised tuning, on the good or chosen answers; and the rewards of all.

    Attributes:
        rewards: Of all test rows.
    """

    rewards: Rewards | None = None

    def _scores(self, model: Any) -> list[Score]:
        own = self.rewards.scores(**self.settings) if self.rewards is not None and model is self.tuned else []
        return [*own, *super()._scores(model)]

    def part(self, rows: NDArray[np.int64]) -> Part:
        """The watched metric of some test rows."""
        assert self.rewards is not None
        scored = self.rewards.scores(rows, **self.settings)[0]
        if self.rewards.objective is Objective.kto or not scored.defined:
            return Part(scored, None)
        groups = self.rewards.rows.groups
        return Part(scored, sums_outcome(self.rewards.right(rows), None if groups is None else groups[rows]))

    def report(self, **details: Any) -> Report:
        """The page; its verdict says whether the preference was learned, and what it cost."""
        made = super().report(**details)
        watched = next(score for score in next(iter(self.models.values())) if score.name == self.recipe.watch)
        first = next(i for i, told in enumerate(made.verdict) if told.startswith(capital(show_name(watched.name)))) + 1
        return replace(made, verdict=[*made.verdict[:first], _against_chance(watched), *made.verdict[first:]])

    def write(self, run: RunFolder, report: Report) -> None:
        """As for other models that write, and preferences.csv."""
        super().write(run, report)
        if self.rewards is not None:
            self.rewards.write(run)


def _against_chance(watched: Score) -> str:
    if not watched.defined or np.isnan(watched.low):
        return "Chance is 0.5."
    if watched.low > 0.5:
        return "Chance is 0.5: the preference was learned."
    if watched.high < 0.5:
        return "Chance is 0.5: the model prefers the worse answers."
    return "Chance is 0.5: these test rows do not show that a preference was learned."


def judge_preferences(prepared: Prepared[Any], predictor: TextGenerator) -> PreferenceEvidence:
    """Score a tuned model on test preferences, and on their good or chosen answers as a model that writes.

    Rewards are measured against the model before tuning, so that one is loaded whatever else is asked for.
    """
    recipe, config, encoded = prepared.recipe, prepared.config, prepared.encoded
    device, progress = torch.device(choose_accelerator(config.trainer)), config.trainer.progress
    rows, train = encoded.rows["test"], encoded.rows["train"]
    items: Any = encoded.splits["test"].items
    good = items.good if items.good.any() else np.ones(len(items), dtype=bool)  # of a rehearsal's few rows
    chosen = rows.take(np.flatnonzero(good))
    wanted = node_as(config.evaluation, GenerationEvaluation)
    questions = evaluation_prompts_of(recipe, chosen, wanted.max_generations)
    held_out = HeldOut.of(chosen, items.first_rows(np.flatnonzero(good)), questions, predictor)
    log_probs = _log_probs(predictor, items, "of test answers", progress, device)
    tuned = perform(predictor, held_out, "on test rows", progress, device)
    probes = Probes.of(predictor) if wanted.forgetting else None
    after = probes.losses(predictor, device) if probes else None
    predictor.model.cpu()
    before = ready(prepared, load_writing(prepared.source))
    forgetting = None
    if probes and after:
        settings = resampling(config.evaluation, config.seed)
        forgetting = Forgetting(probes.losses(before, device), after, probes.kinds, settings)
    ratios = log_probs - _log_probs(before, items, "before tuning", progress, device)
    others, missing = {}, dict[str, str]()
    if wanted.zero_shot:
        with attempt(BASE, missing):
            others[BASE] = perform(before, held_out, "before tuning", progress, device)
    objective = node_as(config.objective, PreferenceObjective)
    values = objective.beta * (ratios if objective.name is Objective.dpo else ratios[:, :1])
    notes = [
        _explained(objective.name, len(rows), len(chosen)),
        *held_out.notes(len(evaluation_prompts_of(recipe, chosen, None))),
        *tuned.notes(),
    ]
    return PreferenceEvidence(
        recipe,
        held_out,
        tuned,
        others,
        config.evaluation,
        config.seed,
        train,
        called(config),
        forgetting,
        Rewards(objective.name, values, items.good, rows),
        notes=notes,
        missing=missing,
        strata=Strata.of(rows, config.evaluation, config.seed),
    )


def _log_probs(
    writer: TextGenerator, items: PreferenceItems, what: str, progress: bool, device: torch.device
) -> NDArray[np.float64]:
    with counting(f"log-probabilities {what}", 2 * len(items), progress) as advance:
        losses, _ = writer.losses(items.token_rows, device, advance)
    return -losses.reshape(-1, 2)


def _explained(objective: Objective, rows: int, good: int) -> str:
    reward = (
        "The implicit reward of an answer is beta times how much likelier tuning made it, in nats: before tuning it is "
        "0 for all."
    )
    if objective is Objective.dpo:
        share = (
            f"Preference accuracy is the share of the {rows:,} test pairs whose chosen answer has the higher reward."
        )
    else:
        share = (
            f"Reward AUROC is how often a good test answer has a higher reward than a bad one ({good:,} good, "
            f"{rows - good:,} bad)."
        )
    which = "chosen" if objective is Objective.dpo else "good"
    return f"{share} {reward} All other scores are of the {which} answers, as the references."
