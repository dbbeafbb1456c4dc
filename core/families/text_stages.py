"""What families share whose rows are texts, each with a column for its answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from tunebook.config.schema import TrainConfig
from tunebook.data.columns import PAIR, TEXT
from tunebook.data.encoded import Encoded
from tunebook.data.module import FineTuneData
from tunebook.data.pairs import is_paired, whole_column
from tunebook.families.prepared import Prepared
from tunebook.families.stages import RecipeT, Stages
from tunebook.models.source import ModelSource
from tunebook.models.text_batches import text_data
from tunebook.models.tried import try_sequence_model
from tunebook.training.devices import choose_accelerator


class TextStages(Stages[RecipeT]):
    """Texts in; the ``data:`` nodes name the columns ``text``, ``text_pair`` and ``label``."""

    def training_data(
        self, model: nn.Module, encoded: Encoded, source: ModelSource, config: TrainConfig
    ) -> tuple[nn.Module, FineTuneData]:
        """The model on token ids, or with ``adapt=head`` its head on stored features."""
        return text_data(model, encoded, source, config, choose_accelerator(config.trainer))

    def examine(self, model: nn.Module, encoded: Encoded) -> Mapping[str, str]:
        """Embeddings, positions and padding."""
        return try_sequence_model(model, encoded.tokenizer, encoded.max_length, encoded.collate)


def seen_texts(prepared: Prepared[Any]) -> Iterator[str]:
    """The texts that shaped the weights, or chose among them."""
    for split in ("train", "validation"):
        rows = prepared.encoded.rows[split]
        pair = rows.column(PAIR) if is_paired(rows) else None
        for chunk in whole_column(rows.column(TEXT), pair).chunks:
            yield from chunk.to_pylist()
