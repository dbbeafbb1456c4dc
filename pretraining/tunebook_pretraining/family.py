"""What both pre-training recipes share: no sample rows, all weights learn, and nothing answers rows yet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tunebook import Recipe, UserError
from tunebook.config.schema import Method
from tunebook.recipe import ConfigT

if TYPE_CHECKING:
    from torch import nn

    from tunebook import FineTuneData
    from tunebook.bundle.manifest import Manifest
    from tunebook.config.schema import TrainConfig
    from tunebook.data.encoded import Encoded
    from tunebook.families.predictor import Predictor
    from tunebook.models.source import ModelSource


class Pretraining(Recipe[ConfigT]):
    """Learns a backbone, from fresh weights or further on."""

    def samples(self, cache_dir: Path) -> Mapping[str, Path]:
        """None: rows for pre-training are too many to ship."""
        return {}

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
                fix="adapt=scratch, or adapt=full to go on",
            )
        return config.adapt.method is Method.scratch

    def data(
        self, model: nn.Module, encoded: Encoded, source: ModelSource, config: TrainConfig
    ) -> tuple[nn.Module, FineTuneData]:
        """All examples are of one length, so there is nothing to group."""
        from tunebook import FineTuneData

        return model, FineTuneData(
            {name: encoded.splits[name] for name in ("train", "validation")},
            encoded.collate,
            batch_size=config.data.batch_size,
            seed=config.seed,
            group_by_length=False,
            accumulate=config.trainer.accumulate_grad_batches,
            num_workers=config.data.num_workers,
        )

    def open_bundle(self, folder: Path, manifest: Manifest) -> Predictor:
        """A backbone answers no rows."""
        raise UserError(
            "A pre-trained model answers nothing yet.",
            code="recipe.no-answers",
            where=str(folder),
            fix=f"model.name={folder}",
        )
