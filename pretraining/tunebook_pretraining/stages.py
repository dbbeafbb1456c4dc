"""What both pre-training families share: all weights learn, and nothing answers rows yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from tunebook import FineTuneData, UserError
from tunebook.config.evaluate import EvaluateConfig
from tunebook.config.schema import Method, TrainConfig
from tunebook.data.content import Content
from tunebook.data.encoded import Encoded
from tunebook.data.rows import Rows
from tunebook.families.comparison import Comparison
from tunebook.families.evidence import Evidence
from tunebook.families.stages import RecipeT, Stages
from tunebook.models.source import ModelSource

from .inputs import no_answers


@dataclass
class Pretrained:
    """A model that was pre-trained: it is scored on its test rows, and answers none.

    Attributes:
        model: The network in float32.
    """

    model: nn.Module
    truncated: int = 0
    unfinished: int = 0
    columns: Sequence[str] = ()

    def refused(self, rows: Rows) -> Mapping[int, str]:
        """None of them."""
        return {}

    def answers(
        self, rows: Rows, content: Content | None, device: Any, advance: Callable[[int], None]
    ) -> Iterator[Mapping[str, str | float]]:
        """There are none."""
        no_answers()


class Pretraining(Stages[RecipeT]):
    """Learns a backbone, from fresh weights or further on."""

    def fresh(self, config: TrainConfig) -> bool:
        """Whether the weights start from random ones.

        Raises:
            UserError: Some weights would not learn.
        """
        if config.adapt.method not in (Method.full, Method.scratch):
            raise UserError(
                "Pre-training trains all weights.",
                code="config.no-effect",
                where="adapt.method",
                fix="adapt=scratch, or adapt=full to continue",
            )
        return config.adapt.method is Method.scratch

    def training_data(
        self, model: nn.Module, encoded: Encoded, source: ModelSource, config: TrainConfig
    ) -> tuple[nn.Module, FineTuneData]:
        """All examples are of one length, so there is nothing to group."""
        return model, FineTuneData(
            {name: encoded.splits[name] for name in ("train", "validation")},
            encoded.collate,
            batch_size=config.data.batch_size,
            seed=config.seed,
            group_by_length=False,
            accumulate=config.trainer.accumulate_grad_batches,
            num_workers=config.data.num_workers,
        )

    def judge_new(
        self, recipe: RecipeT, predictor: Any, rows: Rows, content: Content | None, config: EvaluateConfig
    ) -> Evidence:
        """Refused."""
        no_answers(config.bundle)

    def comparison(self, recipe: RecipeT) -> Comparison:
        """Refused: it would take as many pre-trainings.

        Raises:
            UserError: Always.
        """
        raise UserError(
            "Pre-training runs cannot be compared.",
            code="recipe.no-answers",
            where=f"recipe={recipe.options.name}",
            fix="compare a fine-tuned model: tunebook compare recipe=<name> model.name=<run folder>/model",
        )
