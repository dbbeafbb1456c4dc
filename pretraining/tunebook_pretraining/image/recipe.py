"""The recipe that pre-trains an image network on pictures made by formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tunebook import FamilyConfig, Head, Recipe, UserError

if TYPE_CHECKING:
    from torch import nn
    from torchmetrics import MetricCollection

    from tunebook.bundle.manifest import Manifest
    from tunebook.commands.setup import Prepared
    from tunebook.config import DataConfig, TrainConfig
    from tunebook.data.columns import Column
    from tunebook.data.gate import Checked
    from tunebook.data.module import FineTuneData
    from tunebook.data.rejects import RejectLog
    from tunebook.models.source import ModelSource
    from tunebook.recipe import Encoded, Predictor
    from tunebook.run_folder import RunFolder
    from tunebook.training.fit import Fitted


@dataclass
class PretrainImageConfig(FamilyConfig):
    """Options of pretrain_image."""

    size: int = 64
    """Height and width of the pictures in pixels."""


class PretrainImage(Recipe[PretrainImageConfig]):
    """Tell which formula a picture was made by."""

    family: ClassVar[str] = "image_classification"
    Config: ClassVar[type] = PretrainImageConfig
    watch: ClassVar[str] = "accuracy"

    def samples(self) -> Mapping[str, Path]:
        """None: the rows are written by ``tunebook_pretraining.image.prepare``."""
        return {}

    def columns(self, data: DataConfig) -> Sequence[Column]:
        """A formula, and its class."""
        from tunebook.data.columns import Column

        return [
            Column("picture", data.text, "data.text", "text"),
            Column("label", data.label, "data.label", "label"),
        ]

    def invalid(self, row: Mapping[str, str]) -> str | None:
        """A formula reads "family class number"."""
        from .formulas import FAMILIES

        family, *numbers = row["picture"].split()
        if family not in FAMILIES or len(numbers) != 2 or not all(n.isdigit() for n in numbers):
            return f'is no formula: "{row["picture"]}" (one is "fractal 12 87")'
        return None

    def head(self, labels: Sequence[str]) -> Head:
        """One output a class."""
        from .head import PictureHead

        return PictureHead(len(labels))

    def metrics(self, labels: Sequence[str]) -> MetricCollection:
        """Accuracy."""
        from torchmetrics import MetricCollection
        from torchmetrics.classification import MulticlassAccuracy

        return MetricCollection({"accuracy": MulticlassAccuracy(len(labels), average="micro")})

    def encode(self, checked: Checked, source: ModelSource, config: TrainConfig, rejects: RejectLog) -> Encoded:
        """All pictures, drawn once and kept as bytes."""
        from .pictures import encode_pictures

        return encode_pictures(checked, config, self.options.size)

    def build_model(
        self, source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
    ) -> nn.Module:
        """A timm network with one output a class."""
        from tunebook.config import Method

        from .model import load_network

        if config.adapt.method not in (Method.full, Method.scratch):
            raise UserError(
                "Pre-training trains all weights.", where="adapt.method", mend="adapt=scratch, or adapt=full to go on"
            )
        return load_network(source, len(labels), fresh=config.adapt.method is Method.scratch)

    def data(
        self, model: nn.Module, encoded: Encoded, source: ModelSource, config: TrainConfig
    ) -> tuple[nn.Module, FineTuneData]:
        """Pictures in batches."""
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

    def finish(
        self,
        prepared: Prepared,
        model: nn.Module,
        fitted: Fitted | None,
        run: RunFolder,
        record: dict[str, Any],
        facts: Mapping[str, str],
    ) -> float:
        """Score the test pictures, and write the backbone as timm opens it, in half precision."""
        from .finish import finish

        return finish(self, prepared, model, run, facts)

    def open_bundle(self, folder: Path, manifest: Manifest) -> Predictor:
        """A backbone answers no rows."""
        raise UserError("A pre-trained model answers nothing yet.", where=str(folder), mend=f"model.name={folder}")
