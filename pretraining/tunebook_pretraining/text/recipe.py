"""The recipe that pre-trains a causal language model on plain text."""

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
class PretrainTextConfig(FamilyConfig):
    """Options of pretrain_text."""

    block: int = 512
    """Tokens in a training sequence; texts follow one another without padding."""


class PretrainText(Pretraining[PretrainTextConfig]):
    """Predict the next token of plain text."""

    family: ClassVar[str] = "text_generation"
    Config: ClassVar[type] = PretrainTextConfig
    watch: ClassVar[str] = "loss"
    watch_mode: ClassVar[str] = "min"

    def columns(self, data: DataConfig) -> Sequence[Column]:
        """A text."""
        from tunebook.data.columns import Column

        return [Column("text", data.text, "data.text", "text")]

    def head(self, labels: Sequence[str]) -> Head:
        """The language model's own."""
        from .head import NextTokenHead

        return NextTokenHead()

    def metrics(self, labels: Sequence[str]) -> MetricCollection:
        """The share of tokens guessed right."""
        from torchmetrics import MetricCollection

        from .head import TokenAccuracy

        return MetricCollection({"token_accuracy": TokenAccuracy()})

    def encode(self, checked: ValidatedData, source: ModelSource, config: TrainConfig, rejects: RejectLog) -> Encoded:
        """All texts of a split as one stream of tokens, cut into blocks."""
        from .blocks import encode_blocks

        return encode_blocks(checked, source, config, self.options.block)

    def build_model(
        self, source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
    ) -> nn.Module:
        """A causal language model, fresh with ``adapt=scratch``."""
        from tunebook.models.language_model import load_language_model

        return load_language_model(source, fresh=self.fresh(config))

    def finish(
        self,
        prepared: Prepared,
        model: nn.Module,
        fitted: Fitted | None,
        run: RunFolder,
        record: dict[str, Any],
        facts: Mapping[str, str],
    ) -> float:
        """Score the test texts, and write a plain transformers folder in half precision."""
        from .finish import finish

        return finish(self, prepared, model, run, facts)
