"""What families share whose rows are texts, each with a column for its answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from tunebook.bundle.manifest import Manifest
from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.config.schema import TrainConfig
from tunebook.data.columns import Column, new_text_columns
from tunebook.data.encoded import Encoded
from tunebook.data.module import FineTuneData
from tunebook.families.stages import RecipeT, Stages
from tunebook.models.source import ModelSource
from tunebook.models.text_batches import text_data
from tunebook.training.devices import choose_accelerator


class TextStages(Stages[RecipeT]):
    """Texts in; the ``data:`` nodes name the columns ``text``, ``text_pair`` and ``label``."""

    def training_data(
        self, model: nn.Module, encoded: Encoded, source: ModelSource, config: TrainConfig
    ) -> tuple[nn.Module, FineTuneData]:
        """The model on token ids, or with ``adapt=head`` its head on stored features."""
        return text_data(model, encoded, source, config, choose_accelerator(config.trainer))

    def predict_columns(
        self, recipe: RecipeT, manifest: Manifest, column: str | None, files: Sequence[str]
    ) -> Sequence[Column]:
        """The text, and the second one where the model reads two."""
        return new_text_columns(manifest.columns, column)

    def evaluate_columns(self, recipe: RecipeT, manifest: Manifest, data: EvaluateDataConfig) -> Sequence[Column]:
        """As in training, with what is renamed."""
        own: Any = data
        named = {name: getattr(own, name) or manifest.columns.get(name) for name in ("text", "text_pair", "label")}
        return recipe.columns(self.family.data(**named, group=data.group))
