"""The family of recipes whose models write: conversations are answered, turn by turn, by a causal language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tunebook.config import DataConfig, Method, TrainConfig
from tunebook.errors import UserError
from tunebook.recipe import ConfigT, Encoded, FamilyConfig, Head, Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import nn
    from torchmetrics import MetricCollection

    from tunebook.bundle.manifest import Manifest
    from tunebook.commands.setup import Prepared
    from tunebook.config import AdaptConfig, ModelConfig
    from tunebook.data.columns import Column
    from tunebook.data.compare import Content
    from tunebook.data.gate import Checked
    from tunebook.data.module import FineTuneData
    from tunebook.data.rejects import RejectLog
    from tunebook.data.rows import Rows
    from tunebook.evaluate_config import EvaluateConfig, EvaluateDataConfig
    from tunebook.models.source import ModelSource
    from tunebook.run_folder import RunFolder
    from tunebook.tasks.exchanges import Exchanges
    from tunebook.tasks.writer import Writer
    from tunebook.training.fit import Fitted


@dataclass
class TextGenerationConfig(FamilyConfig):
    """Options of every recipe whose model writes."""

    max_new_tokens: int = 128
    """Longest answer, in tokens."""
    lowercase: bool = False
    """Compare answers with their references in lower case; BLEU and chrF say so in their signature."""
    tokenize: str = "13a"
    """sacreBLEU's tokenizer for BLEU: 13a, intl, zh, ja-mecab, char ..."""


class TextGeneration(Recipe[ConfigT]):
    """A conversation in, the assistant's next turn out; any causal language model of transformers."""

    family: ClassVar[str] = "text_generation"
    Config: ClassVar[type] = TextGenerationConfig
    watch: ClassVar[str] = "perplexity"
    watch_mode: ClassVar[str] = "min"
    unused: ClassVar[Sequence[str]] = (
        *("data.text", "data.image", "data.image_root", "data.label", "data.labels", "data.shots"),
        *("model.weights", "model.args"),
    )

    def columns(self, data: DataConfig) -> Sequence[Column]:
        """Those of the form that the rows are in, the group, and the facts."""
        from tunebook.tasks.conversation_columns import conversation_columns, training_files

        return conversation_columns(training_files(data, self), data.format, data.group, data.facts)

    def content(self, source: ModelSource, config: TrainConfig) -> Content:
        """The conversations."""
        from tunebook.data.conversations.content import ConversationContent

        return ConversationContent()

    def head(self, labels: Sequence[str]) -> Head:
        """The model's own final layer, which writes words."""
        from tunebook.tasks.language_head import CausalHead

        return CausalHead()

    def metrics(self, labels: Sequence[str]) -> MetricCollection:
        """Perplexity of what the assistant says."""
        from torchmetrics import MetricCollection

        from tunebook.tasks.language_head import TokenPerplexity

        return MetricCollection({"perplexity": TokenPerplexity()})

    def exchanges(self, rows: Rows, wanted: int | None) -> Exchanges:
        """What a model is asked on held-out rows, and what a good answer is: every turn of the assistant.

        Args:
            rows: Checked rows with their answers.
            wanted: How many answers are enough; whole conversations are drawn, the same for every seed of a run.
        """
        from tunebook.tasks.exchanges import assistant_turns

        return assistant_turns(rows, wanted)

    # What follows is the family's own work; a recipe has no need to change it.

    def find_model(self, config: ModelConfig, weights: bool) -> ModelSource:
        """A folder or hub id with a causal language model."""
        from tunebook.models.causal import check_causal

        source = super().find_model(config, weights)
        check_causal(source)
        return source

    def encode(self, checked: Checked, source: ModelSource, config: TrainConfig, rejects: RejectLog) -> Encoded:
        """Token ids of all splits, each marked as learnt or not."""
        from tunebook.tasks.conversation_examples import encode_splits
        from tunebook.tasks.exchanges import check_facts

        self._check(source, config)
        check_facts(checked.test)
        return encode_splits(checked, source, config, rejects)

    def _check(self, source: ModelSource, config: TrainConfig) -> None:
        """Refuse now what would else come up once the model is trained."""
        from tunebook.models.text import positions
        from tunebook.tasks.exchanges import check_tokenize
        from tunebook.tasks.writer import room_beside

        if config.adapt.method is Method.head:
            raise UserError(
                "A language model has no fresh head that could be learnt alone.",
                where="adapt=head",
                mend="adapt=lora learns little beside a frozen model",
            )
        for key, least in (("max_new_tokens", 1),):
            if getattr(self.options, key) < least:
                raise UserError(f"recipe.{key} must be at least {least}.", where=f"recipe.{key}", mend="choose more")
        room_beside(self.options.max_new_tokens, positions(source.settings))
        check_tokenize(self.options.tokenize)

    def preview(self, encoded: Encoded) -> Sequence[Any]:
        """Three conversations with the learnt tokens in colour."""
        from tunebook.tasks.conversation_examples import preview

        return preview(encoded)

    def build_model(
        self, source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
    ) -> nn.Module:
        """The language model as it is, its weights in float32 or, for QLoRA, in 4 bits."""
        from tunebook.models.causal import build_causal

        return build_causal(source, config)

    def adapted(self, model: nn.Module, config: AdaptConfig) -> nn.Module:
        """Adapters find their layers by themselves; what is in 4 bits is made ready for them."""
        from tunebook.models.causal import adapt_causal

        return adapt_causal(model, config)

    def merged(self, model: nn.Module, source: ModelSource, config: TrainConfig, run: RunFolder) -> nn.Module:
        """As for others; the adapters alone are kept too."""
        from tunebook.models.causal import merge_causal, save_adapter

        save_adapter(model, source, run.adapter)
        return merge_causal(model, source, config.adapt.quantize)

    def data(
        self, model: nn.Module, encoded: Encoded, source: ModelSource, config: TrainConfig
    ) -> tuple[nn.Module, FineTuneData]:
        """The model on conversations, packed where it can keep them apart."""
        from tunebook.tasks.conversation_examples import conversation_data

        return model, conversation_data(model, encoded, config)

    def finish(
        self,
        prepared: Prepared,
        model: nn.Module,
        fitted: Fitted | None,
        run: RunFolder,
        record: dict[str, Any],
        facts: Mapping[str, str],
    ) -> float:
        """Write the bundle, score what is read back from it, and report."""
        from tunebook.tasks.generation_evidence import finish

        return finish(self, prepared, model, fitted, run, record, facts)

    def open_bundle(self, folder: Path, manifest: Manifest) -> Writer:
        """The language model with its template."""
        from tunebook.bundle.generation import read_writer

        return read_writer(self, folder, manifest)

    def bundle_content(self, manifest: Manifest, cache_dir: Path, answered: bool) -> Content:
        """Conversations in any form."""
        from tunebook.data.conversations.content import ConversationContent

        return ConversationContent(answered=answered)

    def predict_columns(self, manifest: Manifest, column: str | None, files: Sequence[str]) -> Sequence[Column]:
        """Those of the form that the files are in; what waits for its answer has no column for it."""
        from tunebook.tasks.conversation_columns import asked_columns

        return asked_columns(files, column)

    def evaluate_columns(self, manifest: Manifest, data: EvaluateDataConfig) -> Sequence[Column]:
        """As in training."""
        from tunebook.data.paths import resolve_paths
        from tunebook.tasks.conversation_columns import conversation_columns

        return conversation_columns(resolve_paths(data.test, "data.test"), data.format, data.group, data.facts)

    def keys(self, rows: Rows) -> list[str]:
        """The conversations as people read them."""
        return rows.texts("text")

    def evaluate(
        self,
        predictor: Writer,
        rows: Rows,
        content: Content | None,
        config: EvaluateConfig,
        run: RunFolder,
        facts: Mapping[str, str],
        notes: Sequence[str],
    ) -> float:
        """Score a bundle on new rows."""
        from tunebook.tasks.generation_evidence import evaluate

        return evaluate(self, predictor, rows, config, run, facts, notes)
