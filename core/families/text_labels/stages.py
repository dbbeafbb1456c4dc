"""What the family of models that put several labels on a text does for its recipes, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tunebook.bundle.manifest import Manifest
from tunebook.config.evaluate import EvaluateConfig
from tunebook.config.schema import TrainConfig
from tunebook.data.content import Content
from tunebook.data.encoded import Encoded
from tunebook.data.load_and_validate import ValidatedData
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.families.prepared import Prepared, called
from tunebook.families.strata import Strata
from tunebook.families.text_labels.answers import predict_rows, usual_labels
from tunebook.families.text_labels.baselines import LabelsComparison
from tunebook.families.text_labels.build import UNTRAINED, fresh_labeller, several_head
from tunebook.families.text_labels.bundle import read_text_labeller, ready_labeller, write_labels_bundle
from tunebook.families.text_labels.columns import NONE, flags_of
from tunebook.families.text_labels.evidence import LabelsEvidence
from tunebook.families.text_labels.predictor import TextLabeller
from tunebook.families.text_labels.recipe import TextLabels
from tunebook.families.text_stages import TextStages, refuse_untrained
from tunebook.models.source import ModelSource
from tunebook.models.text_batches import encode_splits
from tunebook.run_folder import RunFolder
from tunebook.training.devices import choose_accelerator
from tunebook.training.fit import Fitted
from tunebook.training.head import Head

Recipe = TextLabels[Any]


class TextLabelsStages(TextStages[TextLabels[Any]]):
    """A text in, any number of labels out; any transformers encoder or decoder with a classification layer."""

    def encode(
        self, recipe: Recipe, data: ValidatedData, source: ModelSource, config: TrainConfig, rejects: RejectLog
    ) -> Encoded:
        """Token ids and the labels' flags of all splits."""
        refuse_untrained(config, UNTRAINED)
        assert data.labels is not None
        several_head(recipe, data.labels.names)  # now, and not when its metrics are given answers of another form
        return encode_splits(data, source, config, rejects, partial(flags_of, names=data.labels.names))

    def build_model(
        self, recipe: Recipe, source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
    ) -> nn.Module:
        """The backbone with a classification layer of one output a label."""
        return fresh_labeller(recipe, source, labels, config, encoded)

    def training_head(self, recipe: Recipe, labels: Sequence[str], encoded: Encoded) -> Head:
        """The recipe's head, which must be of rows with several labels."""
        return several_head(recipe, labels)

    def write_bundle(
        self,
        prepared: Prepared[Recipe],
        model: nn.Module,
        fitted: Fitted | None,
        run: RunFolder,
        card: Mapping[str, Any],
    ) -> None:
        """A plain transformers folder, with thresholds and the texts that were seen as hashes."""
        write_labels_bundle(run.bundle, prepared, model, card)

    def open_bundle(self, recipe: Recipe, folder: Path, manifest: Manifest) -> TextLabeller:
        """A model that puts labels on texts."""
        return read_text_labeller(recipe, folder, manifest)

    def answering(self, recipe: Recipe, manifest: Manifest, model: nn.Module, tokenizer: Any) -> TextLabeller:
        """A model in the place of the bundle's."""
        return ready_labeller(recipe, manifest, model, tokenizer)

    def judge(self, prepared: Prepared[Recipe], predictor: TextLabeller, run: RunFolder) -> LabelsEvidence:
        """The labels that at least half of the training rows have, often none, as a baseline."""
        config, encoded = prepared.config, prepared.encoded
        device = torch.device(choose_accelerator(config.trainer))
        tuned = predict_rows(predictor, encoded.rows["test"], "test rows", config.trainer.progress, device)
        chosen = predictor.chosen
        return LabelsEvidence(
            prepared.recipe,
            tuned,
            {"usual labels": usual_labels(encoded.splits["train"].targets, tuned)},
            config.evaluation,
            config.seed,
            called(config),
            chosen,
            notes=[] if chosen is None else chosen.notes,
            summary=[] if chosen is None else [f"thresholds chosen on the validation rows: {chosen.in_words}"],
            strata=Strata.of(encoded.rows["test"], config.evaluation, config.seed),
        )

    def judge_new(
        self, recipe: Recipe, predictor: TextLabeller, rows: Rows, content: Content | None, config: EvaluateConfig
    ) -> LabelsEvidence:
        """The model alone."""
        tuned = predict_rows(predictor, rows, "test rows", True, torch.device(choose_accelerator(config)))
        notes, facts = predictor.cut()
        return LabelsEvidence(
            recipe,
            tuned,
            {},
            config.evaluation,
            config.seed,
            chosen=predictor.chosen,
            notes=[*notes, *([] if predictor.chosen is None else predictor.chosen.notes)],
            facts=facts,
            strata=Strata.of(rows, config.evaluation, config.seed),
        )

    def split_counts(self, prepared: Prepared[Recipe]) -> Mapping[str, Any]:
        """Rows of each label, without any, and in all."""
        found = {}
        for name, examples in prepared.encoded.splits.items():
            flags: Any = examples.targets
            of = dict(zip(prepared.labels, map(int, flags.sum(axis=0)), strict=True))
            found[name] = {**of, NONE: int((flags.sum(axis=1) == 0).sum()), "all rows": len(flags)}
        return found

    def comparison(self, recipe: Recipe) -> LabelsComparison:
        """The usual labels, TF-IDF, and runs read back."""
        return LabelsComparison(recipe)
