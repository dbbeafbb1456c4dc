"""What the family of models of aspects does for its recipes, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tunebook.bundle.manifest import Manifest
from tunebook.config.evaluate import EvaluateConfig
from tunebook.config.schema import TrainConfig
from tunebook.data.batch import IGNORE_INDEX
from tunebook.data.columns import TEXT
from tunebook.data.content import Content
from tunebook.data.encoded import Encoded
from tunebook.data.load_and_validate import ValidatedData
from tunebook.data.pairs import pairs_of
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.families.prepared import Prepared, called
from tunebook.families.strata import Strata
from tunebook.families.text_aspects.baselines import AspectComparison, majority
from tunebook.families.text_aspects.build import UNTRAINED, aspects_head, check_watch, fresh_model
from tunebook.families.text_aspects.bundle import read_aspects_bundle, write_aspects_bundle
from tunebook.families.text_aspects.columns import counts_of, output_names, targets_of, unknown_facts, value_facts
from tunebook.families.text_aspects.evidence import AspectEvidence
from tunebook.families.text_aspects.measures import OVERALL
from tunebook.families.text_aspects.predictor import AspectAnswers, AspectPredictor
from tunebook.families.text_aspects.recipe import TextAspects
from tunebook.families.text_stages import TextStages, refuse_untrained
from tunebook.models.source import ModelSource
from tunebook.models.text_batches import encode_splits
from tunebook.progress import counting
from tunebook.run_folder import RunFolder
from tunebook.training.devices import choose_accelerator
from tunebook.training.fit import Fitted
from tunebook.training.head import Head

Recipe = TextAspects[Any]


class TextAspectsStages(TextStages[TextAspects[Any]]):
    """A text in, a value for each aspect out; any transformers encoder or decoder with a classification layer."""

    def encode(
        self, recipe: Recipe, data: ValidatedData, source: ModelSource, config: TrainConfig, rejects: RejectLog
    ) -> Encoded:
        """Token ids and numbers of values of all splits."""
        refuse_untrained(config, UNTRAINED)
        check_watch(recipe)
        encoded = encode_splits(data, source, config, rejects, partial(targets_of, options=recipe.options))
        targets = {split: examples.targets for split, examples in encoded.splits.items()}
        found = value_facts(targets["train"], recipe.options) | unknown_facts(targets, recipe.options.aspects)
        return replace(encoded, facts={**encoded.facts, **found})

    def build_model(
        self, recipe: Recipe, source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
    ) -> nn.Module:
        """The backbone with an output for each value of each aspect."""
        return fresh_model(recipe, source, config, encoded)

    def training_head(self, recipe: Recipe, labels: Sequence[str], encoded: Encoded) -> Head:
        """The recipe's head."""
        return aspects_head(recipe)

    def write_bundle(
        self,
        prepared: Prepared[Recipe],
        model: nn.Module,
        fitted: Fitted | None,
        run: RunFolder,
        card: Mapping[str, Any],
    ) -> None:
        """A plain transformers folder, with the texts that were seen as hashes."""
        write_aspects_bundle(run.bundle, prepared, model, card)

    def open_bundle(self, recipe: Recipe, folder: Path, manifest: Manifest) -> AspectPredictor:
        """A model that gives texts a value for each aspect."""
        return read_aspects_bundle(recipe, folder, manifest)

    def judge(self, prepared: Prepared[Recipe], predictor: AspectPredictor, run: RunFolder) -> AspectEvidence:
        """The commonest value of each aspect as a baseline."""
        config, encoded, values = prepared.config, prepared.encoded, prepared.recipe.options.values
        rows, device = encoded.rows["test"], torch.device(choose_accelerator(config.trainer))
        answers = {
            called(config): _answer(predictor, rows, config.trainer.progress, device),
            "majority": majority(encoded.splits["train"].targets, len(rows), len(values)),
        }
        strata = Strata.of(rows, config.evaluation, config.seed)
        return AspectEvidence(prepared.recipe, rows, config.evaluation, config.seed, answers=answers, strata=strata)

    def judge_new(
        self, recipe: Recipe, predictor: AspectPredictor, rows: Rows, content: Content | None, config: EvaluateConfig
    ) -> AspectEvidence:
        """The model alone."""
        answers = {"tuned": _answer(predictor, rows, True, torch.device(choose_accelerator(config)))}
        notes, cut = predictor.cut()
        facts = {**cut, **unknown_facts({"test": targets_of(rows, recipe.options)}, recipe.options.aspects)}
        strata = Strata.of(rows, config.evaluation, config.seed)
        return AspectEvidence(
            recipe, rows, config.evaluation, config.seed, answers=answers, notes=notes, facts=facts, strata=strata
        )

    def split_counts(self, prepared: Prepared[Recipe]) -> Mapping[str, Any]:
        """Rows of each value of each aspect, and of those that are unknown."""
        options, found = prepared.recipe.options, {}
        for split, examples in prepared.encoded.splits.items():
            counts = counts_of(examples.targets, len(options.values)).ravel().tolist()
            unknown = (examples.targets == IGNORE_INDEX).sum(axis=0).tolist()
            found[split] = {"rows": len(examples.targets), **dict(zip(output_names(options), counts, strict=True))}
            found[split] |= {f"{aspect}: unknown": n for aspect, n in zip(options.aspects, unknown, strict=True) if n}
        return found

    def comparison(self, recipe: Recipe) -> AspectComparison:
        """The commonest values, TF-IDF, and runs read back."""
        return AspectComparison(sorted(OVERALL, key=lambda name: name != recipe.watch))


def _answer(predictor: AspectPredictor, rows: Rows, progress: bool, device: torch.device) -> AspectAnswers:
    """Answer checked rows that have a truth."""
    with counting("test rows", len(rows), progress) as advance:
        return predictor.answer(rows.texts(TEXT), device, advance, pairs_of(rows))
