"""The family of recipes whose models write: the next turn of a conversation, or what a prompt asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tunebook.config.schema import DataConfig, TrainConfig
from tunebook.families.text_generation.config import TextGenerationConfig
from tunebook.pipeline.encoded import Encoded
from tunebook.recipe import ConfigT, Head, Recipe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import nn
    from torchmetrics import MetricCollection

    from tunebook.bundle.manifest import Manifest
    from tunebook.compare.protocol import Family
    from tunebook.config.evaluate import EvaluateConfig, EvaluateDataConfig
    from tunebook.config.schema import AdaptConfig, ModelConfig
    from tunebook.data.columns import Column
    from tunebook.data.content import Content
    from tunebook.data.load_and_validate import ValidatedData
    from tunebook.data.module import FineTuneData
    from tunebook.data.rejects import RejectLog
    from tunebook.data.rows import Rows
    from tunebook.families.text_generation.data.message import Message
    from tunebook.families.text_generation.model.generate import Generation
    from tunebook.families.text_generation.predictor import Completion, TextGenerator
    from tunebook.families.text_generation.prompts import Exchanges
    from tunebook.models.source import ModelSource
    from tunebook.pipeline.prepare import Prepared
    from tunebook.pipeline.run_folder import RunFolder
    from tunebook.statistics.sums import RowSums
    from tunebook.training.fit import Fitted


class TextGeneration(Recipe[ConfigT]):
    """A conversation in, the assistant's next turn out; a language model of transformers.

    A recipe whose rows hold something else says how they become conversations: `learnt`, `asked`, `exchanges`.

    Attributes:
        architectures: Kinds of models: causal ones, and those with an encoder and a decoder (seq2seq).
        talks: Whether `chat` makes sense with its models.
    """

    architectures: ClassVar[Sequence[str]] = ("causal",)
    talks: ClassVar[bool] = True
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
        from tunebook.families.text_generation.columns import conversation_columns, training_files

        return conversation_columns(training_files(data, self), data.format, data.group, data.facts)

    def content(self, source: ModelSource, config: TrainConfig) -> Content:
        """The conversations."""
        from tunebook.families.text_generation.data.content import ConversationContent

        return ConversationContent()

    def head(self, labels: Sequence[str]) -> Head:
        """The model's own final layer, which writes words."""
        from tunebook.families.text_generation.heads import CausalHead

        return CausalHead()

    def metrics(self, labels: Sequence[str]) -> MetricCollection:
        """Perplexity of what the assistant says."""
        from torchmetrics import MetricCollection

        from tunebook.families.text_generation.heads import TokenPerplexity

        return MetricCollection({"perplexity": TokenPerplexity()})

    def exchanges(self, rows: Rows, wanted: int | None) -> Exchanges:
        """What a model is asked on held-out rows, and what a good answer is: every turn of the assistant.

        As many answers as ``wanted`` are enough: whole conversations are drawn, the same for every seed of a run.
        """
        from tunebook.families.text_generation.prompts import assistant_turns

        return assistant_turns(rows, wanted)

    def learnt(self, rows: Rows) -> Iterator[list[list[Message]]]:
        """The conversations to learn from, of each row in order: one, or several."""
        from tunebook.families.text_generation.data.encoded import own_conversations

        return own_conversations(rows)

    @property
    def learnt_by(self) -> str:
        """What shapes `learnt` besides the rows; another text, and the rows are encoded anew."""
        return ""

    def asked(self, rows: Rows) -> Iterator[list[Message]]:
        """What the model is asked for each row that waits for an answer."""
        return (conversation for (conversation,) in self.learnt(rows))

    def generation(self) -> Generation:
        """How answers are chosen."""
        from tunebook.families.text_generation.model.generate import Generation

        options: Any = self.options
        return Generation(max_new_tokens=options.max_new_tokens)

    @property
    def candidates(self) -> int:
        """Answers written for each row, of which the best is taken."""
        return 1

    def ranked(
        self, rows: Rows, which: Sequence[int], drafts: Sequence[Sequence[Completion]]
    ) -> list[list[Completion]]:
        """The ``drafts`` for each of some ``rows``, which ``which`` numbers, the best first."""
        return [list(each) for each in drafts]

    def measures(
        self, rows: Rows, which: Sequence[int], drafts: Sequence[Sequence[Completion]], train: Rows | None
    ) -> dict[str, RowSums]:
        """What is measured besides perplexity and likeness to the references.

        Args:
            rows: Held-out rows.
            which: The row that each answer is for.
            drafts: What was written for it, the best first.
            train: The training rows, where they are at hand.
        """
        return {}

    def baselines(self, rows: Rows, which: Sequence[int], train: Rows) -> dict[str, list[str]]:
        """Answers that need no model, by the name of how they are made."""
        return {}

    @property
    def answer_columns(self) -> list[str]:
        """What `predict` tells of a row."""
        return ["prompt", "answer"]

    def answers(
        self, rows: Rows, asked: Sequence[Sequence[Message]], drafts: Sequence[Sequence[Completion]]
    ) -> Iterator[Sequence[str | float]]:
        """The values of `answer_columns` of each row."""
        for messages, several in zip(asked, drafts, strict=True):
            yield messages[-1].content, several[0].text

    def kept(self, config: TrainConfig, train: Rows) -> dict[str, Any]:
        """What a bundle keeps for the recipe besides its options, as plain values; `restore` takes it back."""
        return {}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Take back what `kept` gave, in the recipe of a bundle."""
        return None

    # What follows is the family's own work; a recipe has no need to change it.

    def find_model(self, config: ModelConfig, weights: bool) -> ModelSource:
        """A folder or hub id with a language model of a kind that the recipe takes."""
        from tunebook.families.text_generation.model.causal import check_causal
        from tunebook.families.text_generation.model.seq2seq import is_seq2seq

        source = super().find_model(config, weights)
        if not ("seq2seq" in self.architectures and is_seq2seq(source)):
            check_causal(source)
        return source

    def encode(self, checked: ValidatedData, source: ModelSource, config: TrainConfig, rejects: RejectLog) -> Encoded:
        """Token ids of all splits, each marked as learnt or not."""
        from tunebook.families.text_generation import batches_chat as conversation_examples
        from tunebook.families.text_generation import batches_seq2seq as pair_examples
        from tunebook.families.text_generation.checks import check_options
        from tunebook.families.text_generation.dry_run import rehearsed
        from tunebook.families.text_generation.model.seq2seq import is_seq2seq

        check_options(self, source, config)
        encode = pair_examples.encode_splits if is_seq2seq(source) else conversation_examples.encode_splits
        return rehearsed(self, encode(self, checked, source, config, rejects), config)

    def preview(self, encoded: Encoded) -> Sequence[Any]:
        """Three conversations with the learnt tokens in colour."""
        from tunebook.families.text_generation.batches_chat import preview
        from tunebook.families.text_generation.data.pair_template import PairTemplate

        return () if isinstance(encoded.tokenizer, PairTemplate) else preview(encoded, self.talks)

    def build_model(
        self, source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
    ) -> nn.Module:
        """The language model as it is, its weights in float32 or, for QLoRA, in 4 bits."""
        from tunebook.families.text_generation.model.causal import build_causal

        return build_causal(source, config)

    def untuned(self, source: ModelSource) -> nn.Module:
        """The model before tuning, to compare with."""
        from tunebook.families.text_generation.model.causal import load_writing

        return load_writing(source)

    def adapted(self, model: nn.Module, config: AdaptConfig) -> nn.Module:
        """Adapters find their layers by themselves; what is in 4 bits is made ready for them."""
        from tunebook.families.text_generation.model.causal import adapt_causal

        return adapt_causal(model, config)

    def merged(self, model: nn.Module, source: ModelSource, config: TrainConfig, run: RunFolder) -> nn.Module:
        """As for others; the adapters alone are kept too."""
        from tunebook.families.text_generation.model.causal import merge_causal, save_adapter

        save_adapter(model, source, run.adapter)
        return merge_causal(model, source, config.adapt.quantize)

    def data(
        self, model: nn.Module, encoded: Encoded, source: ModelSource, config: TrainConfig
    ) -> tuple[nn.Module, FineTuneData]:
        """The model on conversations, packed where it can keep them apart; on pairs where an encoder reads."""
        from tunebook.families.text_generation.batches_chat import conversation_data
        from tunebook.families.text_generation.batches_seq2seq import pair_data
        from tunebook.families.text_generation.data.pair_template import PairTemplate

        make = pair_data if isinstance(encoded.tokenizer, PairTemplate) else conversation_data
        return model, make(model, encoded, config)

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
        from tunebook.families.text_generation.evidence import finish

        return finish(self, prepared, model, fitted, run, record, facts)

    def open_bundle(self, folder: Path, manifest: Manifest) -> TextGenerator:
        """The language model with its template."""
        from tunebook.families.text_generation.bundle import read_writer

        return read_writer(self, folder, manifest)

    def restored(self, manifest: Manifest) -> None:
        """Take back what the bundle keeps for the recipe."""
        self.restore((manifest.generation or {}).get("kept", {}))

    def bundle_content(self, manifest: Manifest, cache_dir: Path, answered: bool) -> Content:
        """Conversations in any form."""
        from tunebook.families.text_generation.data.content import ConversationContent

        return ConversationContent(answered=answered)

    def predict_columns(self, manifest: Manifest, column: str | None, files: Sequence[str]) -> Sequence[Column]:
        """Those of the form that the files are in; what waits for its answer has no column for it."""
        from tunebook.families.text_generation.columns import asked_columns

        return asked_columns(files, column)

    def evaluate_columns(self, manifest: Manifest, data: EvaluateDataConfig) -> Sequence[Column]:
        """As in training."""
        from tunebook.data.paths import resolve_paths
        from tunebook.families.text_generation.columns import conversation_columns

        return conversation_columns(resolve_paths(data.test, "data.test"), data.format, data.group, data.facts)

    def keys(self, rows: Rows) -> list[str]:
        """The conversations as people read them."""
        return rows.texts("text")

    def evaluate(
        self,
        predictor: TextGenerator,
        rows: Rows,
        content: Content | None,
        config: EvaluateConfig,
        run: RunFolder,
        facts: Mapping[str, str],
        notes: Sequence[str],
    ) -> float:
        """Score a bundle on new rows."""
        from tunebook.families.text_generation.evidence import evaluate

        return evaluate(self, predictor, rows, config, run, facts, notes)

    def ladder(self) -> Family:
        """How such recipes are compared."""
        from tunebook.families.text_generation.baselines import GenerationLadder

        return GenerationLadder(self)
