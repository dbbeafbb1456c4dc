"""The recipe that pre-trains an image network on pictures made by formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tunebook import Head, Recipe
from tunebook.families.family import Family, node_as

from .family import FAMILY
from .options import FormulaData, ImagePretrainingConfig

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

    from tunebook.config.schema import DataConfig
    from tunebook.data.columns import Column


class PretrainImage(Recipe[ImagePretrainingConfig]):
    """Classify pictures by the formula that made them."""

    family: ClassVar[Family] = FAMILY
    Config: ClassVar[type] = ImagePretrainingConfig
    watch: ClassVar[str] = "accuracy"

    def samples(self, cache_dir: Path) -> Mapping[str, Path]:
        """None: rows for pre-training are too many to ship."""
        return {}

    def columns(self, data: DataConfig) -> Sequence[Column]:
        """A formula, and its class."""
        from tunebook.data.columns import Column

        named = node_as(data, FormulaData)
        return [
            Column("picture", named.text, "data.text", "text"),
            Column("label", named.label, "data.label", "label"),
        ]

    def invalid(self, row: Mapping[str, str]) -> str | None:
        """A formula reads "family class number"."""
        from .formulas import CLASSES, FAMILIES

        family, *numbers = row["picture"].split()
        known = family in FAMILIES and len(numbers) == 2 and all(n.isdecimal() and len(n) < 10 for n in numbers)
        if not known or int(numbers[0]) >= CLASSES:
            return f'is not a formula: "{row["picture"]}" (one is "fractal 12 87")'
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
