"""The family: its options, and its part in each stage of a run. What is not here is as Tunebook's Family has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tunebook import FamilyConfig
from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.config.schema import DataConfig, Method, TrainerConfig
from tunebook.families.family import Family
from tunebook.families.options import FamilyOptions, node_as

if TYPE_CHECKING:
    from torch import nn

    from tunebook.bundle.manifest import Manifest
    from tunebook.config.evaluate import EvaluateConfig
    from tunebook.config.schema import TrainConfig
    from tunebook.data.content import Content
    from tunebook.data.encoded import Encoded
    from tunebook.data.load_and_validate import ValidatedData
    from tunebook.data.rejects import RejectLog
    from tunebook.data.rows import Rows
    from tunebook.families.prepared import Prepared
    from tunebook.models.source import ModelSource
    from tunebook.run_folder import RunFolder
    from tunebook.training.fit import Fitted

    from .evidence import TaggingComparison, TaggingEvidence
    from .recipe import EntityTagging
    from .tagger import Tagger

GOLDEN = ["Ada Lind moved from Orlen to Weir Harbour .", "It rained ."]
"""Sentences that a bundle must answer as it did when it was written."""


@dataclass
class EntityTaggingConfig(FamilyConfig):
    """Options of every recipe of the family; a string beneath a field is its help."""

    entities: list[str] = field(default_factory=lambda: ["PER", "ORG", "LOC"])
    """Kinds of names; tags are O, B-<kind> and I-<kind>."""


@dataclass
class SentenceData(DataConfig):
    """Rows with a sentence and its tags."""

    text: str = "text"
    """Column that holds the sentence, with spaces between its words."""
    label: str = "tags"
    """Column that holds the tags, one a word, with spaces between."""
    max_length: int | None = None
    """Longest sentence in tokens (default: what the model takes, at most 512)."""


@dataclass
class NewSentenceData(EvaluateDataConfig):
    """Sentences to score a finished model on."""

    text: str | None = None
    """Column that holds the sentence (default: as in training)."""
    label: str | None = None
    """Column that holds the tags (default: as in training)."""


class EntityTaggingFamily(Family["EntityTagging"]):
    """A sentence in, a tag for each word out; any transformers model with a token classifier."""

    name: ClassVar[str] = "entity_tagging"
    does: ClassVar[str] = "tags words"
    task: ClassVar[str] = "token-classification"
    options: ClassVar[FamilyOptions] = FamilyOptions(EntityTaggingConfig, SentenceData, new_data=NewSentenceData)

    def encode(
        self, recipe: EntityTagging, data: ValidatedData, source: ModelSource, config: TrainConfig, rejects: RejectLog
    ) -> Encoded:
        """Token ids, and the number of a tag at the first piece of each word."""
        from tunebook.models.text import load_tokenizer, longest

        from .tagger import encode_splits

        tokenizer = load_tokenizer(source)
        size = longest(source, tokenizer, node_as(config.data, SentenceData).max_length)
        return encode_splits(data, recipe.tags, tokenizer, size)

    def build_model(
        self, recipe: EntityTagging, source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
    ) -> nn.Module:
        """The backbone with a fresh layer of one output a tag."""
        from tunebook import UserError
        from tunebook.models.sequence_model import load_sequence_model

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
        from tunebook.bundle.write import golden
        from tunebook.families.plain_bundle import write_plain_bundle

        from .tagger import Tagger

        tags, encoded = prepared.recipe.tags, prepared.encoded
        tagger = Tagger(model, encoded.tokenizer, prepared.recipe.head(tags), encoded.max_length)
        asked = [golden(text, tags, mean) for text, mean in zip(GOLDEN, tagger.means(GOLDEN), strict=True)]
        write_plain_bundle(run.bundle, prepared, model, head="tags", labels=tags, card=card, golden=asked)

    def open_bundle(self, recipe: EntityTagging, folder: Path, manifest: Manifest) -> Tagger:
        """The tagger of a bundle, which must answer as it did when it was written."""
        from tunebook.bundle.read import check_golden, check_kind
        from tunebook.models.sequence_model import load_saved_sequence_model
        from tunebook.models.source import ModelSource
        from tunebook.models.text import load_tokenizer

        from .tagger import Tagger

        source, head = ModelSource(str(folder), folder), recipe.head(manifest.labels)
        check_kind(manifest, head, folder)
        model, tokenizer = load_saved_sequence_model(source, "TokenClassification"), load_tokenizer(source)
        tagger = Tagger(model, tokenizer, head, manifest.max_length)
        check_golden(manifest, tagger.means([each.text for each in manifest.golden]), folder)
        return tagger

    def judge(self, prepared: Prepared[EntityTagging], predictor: Tagger, run: RunFolder) -> TaggingEvidence:
        """Beside no names at all, and names known from the training rows."""
        from .evidence import TaggingEvidence, baseline

        recipe, config, rows = prepared.recipe, prepared.config, prepared.encoded.rows["test"]
        answers = {"tuned": predictor.tag_rows(rows, config.trainer)}
        answers |= {"no names": baseline("majority", prepared), "memorised": baseline("classical", prepared)}
        return TaggingEvidence(recipe, rows, config.evaluation, config.seed, answers=answers)

    def judge_new(
        self, recipe: EntityTagging, predictor: Tagger, rows: Rows, content: Content | None, config: EvaluateConfig
    ) -> TaggingEvidence:
        """The model alone."""
        from .evidence import TaggingEvidence

        answers = {"tuned": predictor.tag_rows(rows, TrainerConfig(accelerator=config.accelerator))}
        cut = {"sentences not read to their end": f"{predictor.truncated}"}
        return TaggingEvidence(recipe, rows, config.evaluation, config.seed, answers=answers, facts=cut)

    def comparison(self, recipe: EntityTagging) -> TaggingComparison:
        """The same baselines, and runs read back."""
        from .evidence import TaggingComparison

        return TaggingComparison(("span_f1", "span_precision", "span_recall"), "sentence", "f1")


FAMILY = EntityTaggingFamily()
