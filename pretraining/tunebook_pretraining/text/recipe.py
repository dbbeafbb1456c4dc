"""The recipe that pre-trains a causal language model on plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tunebook import Head, Recipe
from tunebook.families.family import Family, node_as

from .family import FAMILY
from .options import PassageData, TextPretrainingConfig

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

    from tunebook.config.schema import DataConfig
    from tunebook.data.columns import Column


class PretrainText(Recipe[TextPretrainingConfig]):
    """Predict the next token of plain text."""

    family: ClassVar[Family] = FAMILY
    Config: ClassVar[type] = TextPretrainingConfig
    watch: ClassVar[str] = "loss"
    watch_mode: ClassVar[str] = "min"

    def samples(self, cache_dir: Path) -> Mapping[str, Path]:
        """None: rows for pre-training are too many to ship."""
        return {}

    def columns(self, data: DataConfig) -> Sequence[Column]:
        """A text."""
        from tunebook.data.columns import Column

        return [Column("text", node_as(data, PassageData).text, "data.text", "text")]

    def head(self, labels: Sequence[str]) -> Head:
        """The language model's own."""
        from .head import NextTokenHead

        return NextTokenHead()

    def metrics(self, labels: Sequence[str]) -> MetricCollection:
        """The share of tokens guessed right."""
        from torchmetrics import MetricCollection

        from tunebook import Decided

        from .head import TokenAccuracy

        return MetricCollection({"token_accuracy": Decided(TokenAccuracy())})
