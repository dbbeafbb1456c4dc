"""What the family of language models in the making does, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from tunebook.bundle.manifest import Manifest
from tunebook.config.schema import TrainConfig
from tunebook.data.encoded import Encoded
from tunebook.data.load_and_validate import ValidatedData
from tunebook.data.rejects import RejectLog
from tunebook.families.prepared import Prepared
from tunebook.models.language_model import load_language_model
from tunebook.models.source import ModelSource
from tunebook.run_folder import RunFolder
from tunebook.training.fit import Fitted

from ..evidence import PretrainingEvidence
from ..stages import Pretrained, Pretraining
from .blocks import encode_blocks
from .bundle import read_text_model, write_text_model
from .recipe import PretrainText
from .scores import judge


class TextPretraining(Pretraining[PretrainText]):
    """The next token of plain text; a causal language model."""

    def encode(
        self, recipe: PretrainText, data: ValidatedData, source: ModelSource, config: TrainConfig, rejects: RejectLog
    ) -> Encoded:
        """All texts of a split as one stream of tokens, cut into blocks."""
        return encode_blocks(data, source, config, recipe.options.block)

    def build_model(
        self, recipe: PretrainText, source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
    ) -> nn.Module:
        """A causal language model, fresh with ``adapt=scratch``."""
        return load_language_model(source, fresh=self.fresh(config))

    def write_bundle(
        self,
        prepared: Prepared[PretrainText],
        model: nn.Module,
        fitted: Fitted | None,
        run: RunFolder,
        card: Mapping[str, Any],
    ) -> None:
        """A plain transformers folder in half precision."""
        write_text_model(run.bundle, prepared, model)

    def open_bundle(self, recipe: PretrainText, folder: Path, manifest: Manifest) -> Pretrained:
        """The language model, in float32 again."""
        return read_text_model(folder)

    def judge(self, prepared: Prepared[PretrainText], predictor: Pretrained, run: RunFolder) -> PretrainingEvidence:
        """The loss of the test blocks."""
        return judge(prepared, predictor)

    def split_counts(self, prepared: Prepared[PretrainText]) -> Mapping[str, Mapping[str, int]]:
        """Blocks of each split."""
        return {name: {"blocks": len(examples)} for name, examples in prepared.encoded.splits.items()}
