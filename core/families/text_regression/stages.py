"""What the family of models of numbers does for its recipes, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
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
from tunebook.families.family import node_as
from tunebook.families.prepared import Prepared, called
from tunebook.families.strata import Strata
from tunebook.families.text_regression.baselines import NumberComparison
from tunebook.families.text_regression.build import (
    UNTRAINED,
    check_targets,
    fresh_regressor,
    targets_of,
    train_targets,
    training_head,
)
from tunebook.families.text_regression.bundle import read_text_regressor, ready_regressor, write_number_bundle
from tunebook.families.text_regression.evidence import NumberEvidence, in_words, predict_rows
from tunebook.families.text_regression.options import NumberData
from tunebook.families.text_regression.predictor import TextRegressor
from tunebook.families.text_regression.recipe import TextRegression
from tunebook.families.text_regression.ridge import fit_ridge
from tunebook.families.text_regression.scale import fold_final_layer
from tunebook.families.text_stages import TextStages, refuse_untrained
from tunebook.models.source import ModelSource
from tunebook.models.text_batches import encode_splits
from tunebook.run_folder import RunFolder
from tunebook.statistics.numbers import answering
from tunebook.training.devices import choose_accelerator
from tunebook.training.fit import Fitted
from tunebook.training.head import Head

Recipe = TextRegression[Any]


class TextRegressionStages(TextStages[TextRegression[Any]]):
    """A text in, one number out; any transformers encoder or decoder with a final layer of one output."""

    def encode(
        self, recipe: Recipe, data: ValidatedData, source: ModelSource, config: TrainConfig, rejects: RejectLog
    ) -> Encoded:
        """Token ids and numbers of all splits."""
        refuse_untrained(config, UNTRAINED)
        check_targets(targets_of(data.train))
        encoded = encode_splits(data, source, config, rejects, targets_of)
        label = node_as(config.data, NumberData).label
        spread = {f"{label} of train rows": in_words(train_targets(encoded))}
        return replace(encoded, facts={**encoded.facts, **spread})

    def build_model(
        self, recipe: Recipe, source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
    ) -> nn.Module:
        """The backbone with a final layer that answers in the user's units."""
        return fresh_regressor(recipe, source, config, encoded)

    def training_head(self, recipe: Recipe, labels: Sequence[str], encoded: Encoded) -> Head:
        """The recipe's head, which counts errors in deviations of the training rows' targets."""
        return training_head(recipe, encoded)

    def merge(self, model: nn.Module, source: ModelSource, config: TrainConfig, run: RunFolder) -> nn.Module:
        """The plain model: adapters added into its weights, the scale of the targets into its final layer."""
        return fold_final_layer(super().merge(model, source, config, run))

    def write_bundle(
        self,
        prepared: Prepared[Recipe],
        model: nn.Module,
        fitted: Fitted | None,
        run: RunFolder,
        card: Mapping[str, Any],
    ) -> None:
        """A plain transformers folder, with the texts that were seen as hashes."""
        write_number_bundle(run.bundle, prepared, model, card)

    def open_bundle(self, recipe: Recipe, folder: Path, manifest: Manifest) -> TextRegressor:
        """A model that answers texts with numbers."""
        return read_text_regressor(recipe, folder, manifest)

    def answering(self, recipe: Recipe, manifest: Manifest, model: nn.Module, tokenizer: Any) -> TextRegressor:
        """A model in the place of the bundle's."""
        return ready_regressor(recipe, manifest, model, tokenizer)

    def judge(self, prepared: Prepared[Recipe], predictor: TextRegressor, run: RunFolder) -> NumberEvidence:
        """The mean of the training rows, and ridge regression on TF-IDF, as baselines."""
        recipe, config, encoded = prepared.recipe, prepared.config, prepared.encoded
        device = torch.device(choose_accelerator(config.trainer))
        tuned = predict_rows(predictor, encoded.rows["test"], "test rows", config.trainer.progress, device)
        baselines = {
            "mean": answering(float(train_targets(encoded).mean()), tuned),
            "ridge": fit_ridge(recipe, prepared).answer(tuned),
        }
        strata = Strata.of(encoded.rows["test"], config.evaluation, config.seed)
        name = called(config)
        return NumberEvidence(recipe, tuned, baselines, config.evaluation, config.seed, name, strata=strata)

    def judge_new(
        self, recipe: Recipe, predictor: TextRegressor, rows: Rows, content: Content | None, config: EvaluateConfig
    ) -> NumberEvidence:
        """The model alone."""
        tuned = predict_rows(predictor, rows, "test rows", True, torch.device(choose_accelerator(config)))
        notes, facts = predictor.cut()
        score, strata = config.evaluation, Strata.of(rows, config.evaluation, config.seed)
        return NumberEvidence(recipe, tuned, {}, score, config.seed, notes=notes, facts=facts, strata=strata)

    def split_counts(self, prepared: Prepared[Recipe]) -> Mapping[str, Any]:
        """Rows, mean, deviation, least and greatest of the numbers of each split."""
        found = {}
        for name, examples in prepared.encoded.splits.items():
            of = examples.targets
            values = {"mean": of.mean(), "deviation": of.std(), "least": of.min(), "greatest": of.max()}
            found[name] = {"rows": len(of), **{what: float(value) for what, value in values.items()}}
        return found

    def comparison(self, recipe: Recipe) -> NumberComparison:
        """The mean, TF-IDF with ridge regression, and runs read back."""
        return NumberComparison(recipe)
