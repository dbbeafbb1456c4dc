"""What families share whose rows are texts, each with a column for its answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunebook.bundle.manifest import Manifest
from tunebook.config.schema import Method, TrainConfig
from tunebook.data.columns import PAIR, TEXT
from tunebook.data.encoded import Encoded
from tunebook.data.module import FineTuneData
from tunebook.data.pairs import is_paired, whole_column
from tunebook.errors import UserError
from tunebook.families.prepared import Prepared
from tunebook.families.stages import RecipeT, Stages
from tunebook.families.text_onnx import export_texts
from tunebook.families.text_onnx_model import TOGETHER, OnnxModel, check_export_answers
from tunebook.families.text_predictor import TextPredictor
from tunebook.models.sentence_model import SentenceModel
from tunebook.models.source import ModelSource
from tunebook.models.text import load_tokenizer
from tunebook.models.text_batches import stored_features, text_data, token_data
from tunebook.models.tried import try_sequence_model
from tunebook.training.contrast import ContrastiveHead, paired_order
from tunebook.training.devices import choose_accelerator
from tunebook.training.solve import FEW, put, solve_chosen


class TextStages(Stages[RecipeT]):
    """Texts in; the ``data:`` nodes name the columns ``text``, ``text_pair`` and ``label``."""

    def training_data(
        self, model: nn.Module, encoded: Encoded, source: ModelSource, config: TrainConfig
    ) -> tuple[nn.Module, FineTuneData]:
        """The model on token ids, with ``adapt=contrastive`` in pairs; with ``adapt=head`` its head on features."""
        if config.adapt.method is Method.contrastive:
            return model, pair_data(encoded, config)
        return text_data(model, encoded, source, config, choose_accelerator(config.trainer))

    def solves(self, model: nn.Module, config: TrainConfig) -> bool:
        """With ``adapt=head`` on a sentence encoder, where nothing is given that steps alone would heed."""
        trainer = config.trainer
        given = (trainer.max_epochs, trainer.max_steps, trainer.early_stop, *trainer.callbacks)
        wanted = config.adapt.method is Method.head and config.optim == type(config.optim)()
        return wanted and all(each is None for each in given) and isinstance(model, SentenceModel)

    def finish(self, prepared: Prepared[RecipeT], model: nn.Module) -> str:
        """Solve a sentence encoder's final layer on its features, where no step has trained it."""
        config = prepared.config
        if not (config.adapt.method is Method.contrastive or self.solves(model, config)):
            return ""
        assert isinstance(model, SentenceModel)
        return solve_final_layer(self, prepared, model)

    def examine(self, model: nn.Module, encoded: Encoded) -> Mapping[str, str]:
        """Embeddings, positions and padding."""
        return try_sequence_model(model, encoded.tokenizer, encoded.max_length, encoded.collate)

    def answering(self, recipe: RecipeT, manifest: Manifest, model: nn.Module, tokenizer: Any) -> TextPredictor:
        """A model in the place of the bundle's, ready to answer; of families whose models are exported."""
        raise NotImplementedError(f"{self.family.name} allows exports and has none")

    def export_folder(
        self, recipe: RecipeT, folder: Path, manifest: Manifest, output: Path, precisions: Sequence[str]
    ) -> str:
        """Token ids in, answers out, any number of texts of any length."""
        predictor = self.open_bundle(recipe, folder, manifest)
        assert isinstance(predictor, TextPredictor)
        return export_texts(predictor, folder, manifest, output, precisions)

    def open_export(self, recipe: RecipeT, folder: Path, manifest: Manifest, precision: str) -> TextPredictor:
        """The exported model, with the head that the recipe reads it by."""
        tokenizer = load_tokenizer(ModelSource(str(folder), folder))
        predictor = self.answering(recipe, manifest, OnnxModel(folder, precision), tokenizer)
        predictor.together = TOGETHER
        check_export_answers(predictor, manifest, folder, precision)
        return predictor


def refuse_untrained(config: TrainConfig, what: str) -> None:
    """Refuse ``adapt=none`` for a model that can answer nothing before it is trained.

    Args:
        config: The run's config.
        what: What it cannot do, as a sentence.

    Raises:
        UserError: It is that.
    """
    if config.adapt.method is Method.none:
        raise UserError(
            what, code="config.no-effect", where="adapt=none", fix="adapt=head trains the final layer alone"
        )


def pair_data(encoded: Encoded, config: TrainConfig) -> FineTuneData:
    """Batches of token ids that hold pairs of one label, and the head that learns from them; nothing is validated."""
    data = token_data(encoded, config)
    del data.splits["validation"]
    examples = data.splits["train"]
    data.order = paired_order(examples.targets, examples.lengths, config.data.batch_size)
    data.head = ContrastiveHead(config.adapt.temperature)
    return data


def solve_final_layer(stages: Stages[Any], prepared: Prepared[Any], model: SentenceModel) -> str:
    """Solve the final layer on the features of the training rows; how, in words."""
    config, encoded = prepared.config, prepared.encoded
    head = stages.training_head(prepared.recipe, prepared.labels, encoded)
    device = torch.device(choose_accelerator(config.trainer))
    tuned = config.adapt.method is Method.contrastive
    held: list[tuple[Tensor, Tensor]] = []
    for split in ("train", "validation"):
        few = split == "validation" and len(held[0][0]) <= FEW
        source = None if tuned else prepared.source
        found = np.zeros((0, 1)) if few else stored_features(model, encoded, source, config, device, split)
        held.append((torch.tensor(found), torch.tensor(encoded.splits[split].targets)))
    solved = solve_chosen(*held[0], head.outputs, head.loss, held[1], config.seed, encoded.rows["train"].groups)
    model.cpu()
    put(solved, model.classifier, model.scale)
    return f"solved by L-BFGS, C={solved.strength:g} chosen by {solved.chosen_by}"


def seen_texts(prepared: Prepared[Any]) -> Iterator[str]:
    """The texts that shaped the weights, or chose among them."""
    for split in ("train", "validation"):
        rows = prepared.encoded.rows[split]
        pair = rows.column(PAIR) if is_paired(rows) else None
        for chunk in whole_column(rows.column(TEXT), pair).chunks:
            yield from chunk.to_pylist()
