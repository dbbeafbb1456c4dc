"""The recipe that pre-trains an image network on pictures made by formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tunebook import FamilyConfig, Head

from ..family import Pretraining

if TYPE_CHECKING:
    from torch import nn
    from torchmetrics import MetricCollection

    from tunebook.config.schema import DataConfig, TrainConfig
    from tunebook.data.columns import Column
    from tunebook.data.encoded import Encoded
    from tunebook.data.load_and_validate import ValidatedData
    from tunebook.data.rejects import RejectLog
    from tunebook.families.prepared import Prepared
    from tunebook.models.source import ModelSource
    from tunebook.run_folder import RunFolder
    from tunebook.training.fit import Fitted


@dataclass
class PretrainImageConfig(FamilyConfig):
    """Options of pretrain_image."""

    size: int = 64
    """Height and width of the pictures in pixels."""


class PretrainImage(Pretraining[PretrainImageConfig]):
    """Tell which formula a picture was made by."""

    family: ClassVar[str] = "image_classification"
    Config: ClassVar[type] = PretrainImageConfig
    watch: ClassVar[str] = "accuracy"

    def columns(self, data: DataConfig) -> Sequence[Column]:
        """A formula, and its class."""
        from tunebook.data.columns import Column

        return [
            Column("picture", data.text, "data.text", "text"),
            Column("label", data.label, "data.label", "label"),
        ]

    def invalid(self, row: Mapping[str, str]) -> str | None:
        """A formula reads "family class number"."""
        from .formulas import CLASSES, FAMILIES

        family, *numbers = row["picture"].split()
        known = family in FAMILIES and len(numbers) == 2 and all(n.isdecimal() and len(n) < 10 for n in numbers)
        if not known or int(numbers[0]) >= CLASSES:
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

    def encode(self, checked: ValidatedData, source: ModelSource, config: TrainConfig, rejects: RejectLog) -> Encoded:
        """All pictures, drawn once and kept as bytes."""
        from .pictures import encode_pictures

        return encode_pictures(checked, config, self.options.size)

    def build_model(
        self, source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
    ) -> nn.Module:
        """A timm network with one output a class."""
        from .model import load_network

        return load_network(source, len(labels), fresh=self.fresh(config))

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
