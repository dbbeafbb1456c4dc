"""What families share whose rows are texts, each with a column for its answer."""

from __future__ import annotations

from torch import nn

from tunebook.config.schema import TrainConfig
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
