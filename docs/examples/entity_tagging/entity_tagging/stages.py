"""What the family does in each stage of a run; what is not here is as Tunebook's Stages have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from tunebook import UserError
from tunebook.bundle.manifest import Manifest
from tunebook.bundle.read import check_golden, check_kind
from tunebook.bundle.write import golden
from tunebook.config.evaluate import EvaluateConfig
from tunebook.config.schema import Method, TrainConfig, TrainerConfig
from tunebook.data.content import Content
from tunebook.data.encoded import Encoded
from tunebook.data.load_and_validate import ValidatedData
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.families.family import node_as
from tunebook.families.plain_bundle import write_plain_bundle
from tunebook.families.prepared import Prepared
from tunebook.families.stages import Stages
from tunebook.models.sequence_model import load_saved_sequence_model, load_sequence_model
from tunebook.models.source import ModelSource
from tunebook.models.text import load_tokenizer, longest
from tunebook.run_folder import RunFolder
from tunebook.training.fit import Fitted

from .evidence import TaggingComparison, TaggingEvidence, baseline
from .family import SentenceData
from .recipe import EntityTagging
from .tagger import Tagger, encode_splits

GOLDEN = ["Ada Lind moved from Orlen to Weir Harbour .", "It rained ."]
"""Sentences whose predictions are checked when a bundle is opened."""


class TaggingStages(Stages[EntityTagging]):
    """A sentence in, a tag for each word out; any transformers model with a token classifier."""

    def encode(
        self, recipe: EntityTagging, data: ValidatedData, source: ModelSource, config: TrainConfig, rejects: RejectLog
    ) -> Encoded:
        """Token ids, and the number of a tag at the first piece of each word."""
        tokenizer = load_tokenizer(source)
        size = longest(source, tokenizer, node_as(config.data, SentenceData).max_length)
        return encode_splits(data, recipe.tags, tokenizer, size)

    def build_model(
        self, recipe: EntityTagging, source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
    ) -> nn.Module:
        """The backbone with a fresh layer of one output a tag."""
        if config.adapt.method is Method.none:
            raise UserError("A tagger needs training.", code="config.no-effect", where="adapt.method", fix="adapt=full")
        method, kind = config.adapt.method, recipe.head(labels).problem_type
        return load_sequence_model(
            source, config.model, method, recipe.tags, kind, encoded.tokenizer, "TokenClassification"
        )

    def write_bundle(
        self,
        prepared: Prepared[EntityTagging],
        model: nn.Module,
        fitted: Fitted | None,
        run: RunFolder,
        card: Mapping[str, Any],
    ) -> None:
        """A plain transformers folder."""
        tags, encoded = prepared.recipe.tags, prepared.encoded
        tagger = Tagger(model, encoded.tokenizer, prepared.recipe.head(tags), encoded.max_length)
        examples = [golden(text, tags, mean) for text, mean in zip(GOLDEN, tagger.means(GOLDEN), strict=True)]
        write_plain_bundle(run.bundle, prepared, model, head="tags", labels=tags, card=card, golden=examples)

    def open_bundle(self, recipe: EntityTagging, folder: Path, manifest: Manifest) -> Tagger:
        """The tagger of a bundle, which must answer as it did when it was written."""
        source, head = ModelSource(str(folder), folder), recipe.head(manifest.labels)
        check_kind(manifest, head, folder)
        model, tokenizer = load_saved_sequence_model(source, "TokenClassification"), load_tokenizer(source)
        tagger = Tagger(model, tokenizer, head, manifest.max_length)
        check_golden(manifest, tagger.means([each.text for each in manifest.golden]), folder)
        return tagger

    def judge(self, prepared: Prepared[EntityTagging], predictor: Tagger, run: RunFolder) -> TaggingEvidence:
        """No names at all, and names known from the training rows."""
        recipe, config, rows = prepared.recipe, prepared.config, prepared.encoded.rows["test"]
        answers = {"tuned": predictor.tag_rows(rows, config.trainer)}
        answers |= {"no names": baseline("majority", prepared), "memorised": baseline("classical", prepared)}
        return TaggingEvidence(recipe, rows, config.evaluation, config.seed, answers=answers)

    def judge_new(
        self, recipe: EntityTagging, predictor: Tagger, rows: Rows, content: Content | None, config: EvaluateConfig
    ) -> TaggingEvidence:
        """The model alone."""
        answers = {"tuned": predictor.tag_rows(rows, TrainerConfig(accelerator=config.accelerator))}
        cut = {"sentences not read to their end": f"{predictor.truncated}"}
        return TaggingEvidence(recipe, rows, config.evaluation, config.seed, answers=answers, facts=cut)

    def comparison(self, recipe: EntityTagging) -> TaggingComparison:
        """The same baselines, and runs read back."""
        return TaggingComparison(("span_f1", "span_precision", "span_recall"), "sentence", "f1")
