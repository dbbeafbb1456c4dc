"""A recipe that learns from preferences: other columns, and another watched metric; all else stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tunebook.config.schema import DataConfig, Method, Objective, TrainConfig
from tunebook.data.columns import Column
from tunebook.errors import UserError
from tunebook.families.family import node_as
from tunebook.families.text_generation.options import ConversationData, PreferenceObjective
from tunebook.families.text_generation.preferences.columns import preference_columns

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

    from tunebook.families.text_generation.recipe import TextGeneration

WATCHED: Mapping[Objective, str] = {Objective.dpo: "preference_accuracy", Objective.kto: "reward_auroc"}
"""What chooses the best checkpoint, and leads the report."""


class PreferenceTask:
    """What a recipe says otherwise where it learns from preferences; stands before its own class.

    Attributes:
        objective: DPO or KTO.
        whole: Whether its rows are all those of the run, and not a few of a rehearsal.
    """

    objective: ClassVar[Objective]
    watch: ClassVar[str]
    watch_mode: ClassVar[str] = "max"
    whole: bool = True

    def columns(self, data: DataConfig) -> Sequence[Column]:
        """A prompt with two answers, or with one and its thumb."""
        return preference_columns(self.objective, node_as(data, ConversationData))

    def metrics(self, labels: Sequence[str]) -> MetricCollection:
        """Whether the better answer has the higher implicit reward."""
        from tunebook.families.text_generation.preferences.heads import preference_metrics

        return preference_metrics(self.objective)


def with_objective(recipe: TextGeneration[Any], config: TrainConfig) -> TextGeneration[Any]:
    """The recipe as it learns by the objective of a run; itself where that is supervised.

    Raises:
        UserError: An option that the objective does not have, or cannot be used with.
    """
    objective = config.objective.name
    check_objective(config)
    if objective is Objective.sft:
        return recipe
    own = type(recipe)
    body = {
        "__module__": own.__module__,
        "__doc__": own.__doc__,
        "objective": objective,
        "watch": WATCHED[objective],
        "headline": (WATCHED[objective], "perplexity", "chrf", "fact_recall", "repetition"),
    }
    made: TextGeneration[Any] = type(own.__name__, (PreferenceTask, own), body)(recipe.options)
    return made


def check_objective(config: TrainConfig) -> None:
    """Refuse what has no effect or no sense with the objective.

    Raises:
        UserError: There is such an option, or no rows.
    """
    objective, usual = config.objective.name, PreferenceObjective()
    takes = {Objective.sft: (), Objective.dpo: ("beta",)}.get(
        objective, ("beta", "desirable_weight", "undesirable_weight")
    )
    for key in ("beta", "desirable_weight", "undesirable_weight"):
        if key not in takes and getattr(config.objective, key) != getattr(usual, key):
            raise UserError(
                f"objective.{key} has no effect with objective={objective.name}.",
                code="config.no-effect",
                where=f"objective.{key}",
                fix="objective=kto, or leave it out" if key != "beta" else "objective=dpo or kto, or leave it out",
            )
    if objective is Objective.sft:
        return
    if config.adapt.method not in (Method.full, Method.lora):
        raise UserError(
            f"objective={objective.name} tunes a model that answers already, which adapt={config.adapt.method.name} "
            "does not.",
            code="config.conflict",
            where="adapt.method",
            fix="adapt=full or adapt=lora",
        )
    data = node_as(config.data, ConversationData)
    for key in ("format", "facts", "context", "distractors"):
        if getattr(data, key):
            raise UserError(
                f"data.{key} has no effect with objective={objective.name}.",
                code="config.no-effect",
                where=f"data.{key}",
                fix="leave it out",
            )
    if data.train is None:
        raise UserError(
            f"objective={objective.name} needs rows of yours: the recipe's samples hold no preferences.",
            code="config.missing-value",
            where="data.train",
            fix="data.train=preferences.jsonl",
        )
