"""What the family of text classifiers does for its recipes, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tunebook.bundle.manifest import Manifest
from tunebook.config.evaluate import EvaluateConfig
from tunebook.config.schema import Method, TrainConfig
from tunebook.data.content import Content
from tunebook.data.encoded import Encoded
from tunebook.data.load_and_validate import ValidatedData
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.families.attempt import attempt
from tunebook.families.family import node_as
from tunebook.families.prepared import Prepared, called
from tunebook.families.strata import Strata
from tunebook.families.text_classification.baselines import TextComparison
from tunebook.families.text_classification.build import (
    classifier,
    fresh_classifier,
    label_numbers,
    own_augmentations,
    zero_shot_model,
)
from tunebook.families.text_classification.bundle import read_text_classifier, ready_classifier, write_text_bundle
from tunebook.families.text_classification.confidence import Confidence
from tunebook.families.text_classification.evidence import TextEvidence, predict_rows
from tunebook.families.text_classification.inputs import AUTO
from tunebook.families.text_classification.options import NewTextEvaluation, TextEvaluation
from tunebook.families.text_classification.predictor import TextClassifier
from tunebook.families.text_classification.recipe import TextClassification
from tunebook.families.text_classification.suspects import list_suspects
from tunebook.families.text_classification.temperature import calibrate
from tunebook.families.text_classification.wording import worded
from tunebook.families.text_stages import TextStages, seen_texts
from tunebook.models.source import ModelSource
from tunebook.models.text_batches import encode_splits
from tunebook.models.tried import check_padding
from tunebook.run_folder import RunFolder
from tunebook.statistics.scores import majority
from tunebook.training.devices import choose_accelerator
from tunebook.training.fit import Fitted

Recipe = TextClassification[Any]


class TextClassificationStages(TextStages[TextClassification[Any]]):
    """A text in, one label out; any transformers encoder or decoder with a classification layer."""

    def encode(
        self, recipe: Recipe, data: ValidatedData, source: ModelSource, config: TrainConfig, rejects: RejectLog
    ) -> Encoded:
        """Token ids and label numbers of all splits."""
        assert data.labels is not None
        for following in (False, True):  # now, and not when a zero-shot model reads them after training
            worded(recipe, data.labels.names, following)
        augmentations = own_augmentations(recipe, config)
        return encode_splits(data, source, config, rejects, label_numbers(data.labels), augmentations)

    def build_model(
        self, recipe: Recipe, source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
    ) -> nn.Module:
        """The backbone with a classification layer; with ``adapt=none`` the zero-shot classifier."""
        if config.adapt.method is Method.none:
            return zero_shot_model(recipe, source, labels, encoded)
        return fresh_classifier(recipe, source, labels, config, encoded)

    def write_bundle(
        self,
        prepared: Prepared[Recipe],
        model: nn.Module,
        fitted: Fitted | None,
        run: RunFolder,
        card: Mapping[str, Any],
    ) -> None:
        """A plain transformers folder, calibrated, with the texts that were seen as hashes."""
        made = classifier(prepared.recipe, model, prepared.labels, prepared.encoded)
        made.calibration = calibrate(prepared, made)
        if made.calibration is not None:
            card = {**card, "scores": [*card["scores"], *made.calibration.in_words]}
        seen = seen_texts(prepared) if fitted else ()
        write_text_bundle(run.bundle, made, prepared.recipe, prepared.config, card, seen)

    def open_bundle(self, recipe: Recipe, folder: Path, manifest: Manifest) -> TextClassifier:
        """A text classifier, or the zero-shot one."""
        return read_text_classifier(recipe, folder, manifest)

    def answering(self, recipe: Recipe, manifest: Manifest, model: nn.Module, tokenizer: Any) -> TextClassifier:
        """A model in the place of the bundle's."""
        return ready_classifier(recipe, manifest, model, tokenizer)

    def judge(self, prepared: Prepared[Recipe], predictor: TextClassifier, run: RunFolder) -> TextEvidence:
        """The most frequent label and the same backbone without any training, as baselines."""
        recipe, config = prepared.recipe, prepared.config
        device = torch.device(choose_accelerator(config.trainer))
        rows, progress = prepared.encoded.rows["test"], config.trainer.progress
        tuned = predict_rows(predictor, rows, "test rows", progress, device)
        counts = prepared.encoded.splits["train"].targets
        baselines = {"majority": majority(np.bincount(counts, minlength=len(prepared.labels)), tuned)}
        notes, missing = [], dict[str, str]()
        zero_shot = node_as(config.evaluation, TextEvaluation).zero_shot
        if zero_shot and config.adapt.method is Method.scratch:
            notes.append("adapt=scratch uses no pre-trained weights, so there is no zero-shot score")
        elif zero_shot and config.adapt.method is not Method.none:
            with attempt("zero-shot", missing):
                untrained = zero_shot_model(recipe, prepared.source, prepared.labels, prepared.encoded)
                other = classifier(recipe, untrained, prepared.labels, prepared.encoded)
                check_padding(untrained, other.tokenizer, other.max_length, prepared.encoded.collate)
                baselines["zero-shot"] = predict_rows(other, rows, "test rows, zero-shot", progress, device)
        suspects, said = list_suspects(prepared, device)
        notes += said
        confidence = Confidence.of(predictor.calibration, tuned, config.evaluation, config.seed)
        return TextEvidence(
            recipe,
            tuned,
            baselines,
            config.evaluation,
            config.seed,
            called(config),
            suspects,
            confidence,
            notes=[*confidence.notes, *notes],
            missing=missing,
            summary=[*confidence.summary, *([] if suspects is None else [suspects.in_words])],
            strata=Strata.of(rows, config.evaluation, config.seed),
        )

    def judge_new(
        self, recipe: Recipe, predictor: TextClassifier, rows: Rows, content: Content | None, config: EvaluateConfig
    ) -> TextEvidence:
        """The model alone."""
        tuned = predict_rows(predictor, rows, "test rows", True, torch.device(choose_accelerator(config)))
        notes, facts = predictor.cut()
        wanted = node_as(config.evaluation, NewTextEvaluation).not_sure
        below = None if wanted in (None, AUTO) else float(wanted)
        confidence = Confidence.of(predictor.calibration, tuned, config.evaluation, config.seed, below)
        return TextEvidence(
            recipe,
            tuned,
            {},
            config.evaluation,
            config.seed,
            confidence=confidence,
            notes=[*confidence.notes, *notes],
            facts=facts,
            summary=confidence.summary,
            strata=Strata.of(rows, config.evaluation, config.seed),
        )

    def split_counts(self, prepared: Prepared[Recipe]) -> Mapping[str, Any]:
        """Rows of each label, in the labels' order."""
        return {
            name: np.bincount(examples.targets, minlength=len(prepared.labels)).tolist()
            for name, examples in prepared.encoded.splits.items()
        }

    def comparison(self, recipe: Recipe) -> TextComparison:
        """The most frequent label, TF-IDF, and runs read back."""
        return TextComparison(recipe)
