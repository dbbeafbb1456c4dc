"""The family of recipes that put a label on a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tunebook.config.schema import DataConfig, Method, TrainConfig
from tunebook.pipeline.encoded import Encoded
from tunebook.recipe import ConfigT, FamilyConfig, Head, Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import nn
    from torchmetrics import MetricCollection

    from tunebook.bundle.manifest import Manifest
    from tunebook.compare.protocol import Family
    from tunebook.config.evaluate import EvaluateConfig, EvaluateDataConfig
    from tunebook.data.columns import Column
    from tunebook.data.content import Content
    from tunebook.data.labels import Labels
    from tunebook.data.load_and_validate import ValidatedData
    from tunebook.data.module import FineTuneData
    from tunebook.data.rejects import RejectLog
    from tunebook.data.rows import Rows
    from tunebook.families.text_classification.predictor import TextClassifier
    from tunebook.models.source import ModelSource
    from tunebook.pipeline.prepare import Prepared
    from tunebook.pipeline.run_folder import RunFolder
    from tunebook.training.fit import Fitted


@dataclass
class TextClassificationConfig(FamilyConfig):
    """Options of every text classifier."""

    descriptions: dict[str, str] | None = None
    """What each label means, in words, for zero-shot: {label: description} (default: the recipe's own)."""


class TextClassification(Recipe[ConfigT]):
    """A text in, one label out; any transformers encoder or decoder with a classification layer."""

    family: ClassVar[str] = "text_classification"
    Config: ClassVar[type] = TextClassificationConfig
    watch: ClassVar[str] = "macro_f1"
    unused: ClassVar[Sequence[str]] = (
        *("data.image_root", "data.format", "data.facts", "data.pack", "model.weights", "model.args"),
        *("model.chat_template", "adapt.quantize", "trainer.gradient_checkpointing", "evaluation.answers"),
    )

    def columns(self, data: DataConfig) -> Sequence[Column]:
        """A text, a label, and the group column where one is named."""
        from tunebook.data.columns import Column

        columns = [
            Column("text", data.text, "data.text", "text"),
            Column("label", data.label, "data.label", "label"),
        ]
        if data.group is not None:
            columns.append(Column("group", data.group, "data.group", "any"))
        return columns

    def check_labels(self, labels: Labels, data: DataConfig) -> None:
        """Descriptions must fit the labels, whether or not a zero-shot model will read them."""
        self.descriptions(labels.names)

    def head(self, labels: Sequence[str]) -> Head:
        """One output a label."""
        from tunebook.training.softmax_head import SoftmaxHead

        return SoftmaxHead(len(labels))

    def metrics(self, labels: Sequence[str]) -> MetricCollection:
        """Accuracy, and the mean of the labels' F1."""
        from torchmetrics import MetricCollection
        from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

        size = len(labels)
        return MetricCollection(
            {
                "accuracy": MulticlassAccuracy(size, average="micro"),
                "macro_f1": MulticlassF1Score(size, average="macro"),
            }
        )

    def describe(self, labels: Sequence[str]) -> list[str]:
        """A description of each label, for zero-shot; a recipe knows better ones than the bare names."""
        return list(labels)

    def verdicts(self, labels: Sequence[str]) -> list[str]:
        """Each label as it might be written under a text, for zero-shot with a language model."""
        return list(labels)

    def descriptions(self, labels: Sequence[str], following: bool = False) -> list[str]:
        """The user's descriptions where given, else the recipe's, in the labels' order.

        Args:
            labels: Label names.
            following: Take what might be written under a text, not what means the same as one.

        Raises:
            UserError: A description is missing, or belongs to no label.
        """
        from tunebook.errors import UserError

        given: Mapping[str, str] | None = getattr(self.options, "descriptions", None)
        if given is None:
            return self._worded(labels, following)
        given = {str(k): v for k, v in given.items()}
        if set(given) != set(labels):
            missing, extra = sorted(set(labels) - set(given)), sorted(set(given) - set(labels))
            fault = f"missing: {', '.join(missing)}" if missing else f"no such label: {', '.join(extra)}"
            raise UserError(
                f"The descriptions do not fit the labels ({fault}).",
                where="recipe.descriptions",
                fix="describe each of " + ", ".join(labels),
            )
        return [given[label] for label in labels]

    # What follows is the family's own work; a recipe has no need to change it.

    def _worded(self, labels: Sequence[str], following: bool) -> list[str]:
        from tunebook.plugins.answers import texts_of

        texts = self.verdicts(labels) if following else self.describe(labels)
        return texts_of(self, "verdicts" if following else "describe", texts, labels)

    def encode(self, checked: ValidatedData, source: ModelSource, config: TrainConfig, rejects: RejectLog) -> Encoded:
        """Token ids and label numbers of all splits."""
        from tunebook.families.text_classification.batches import encode_splits

        if checked.labels is not None:
            for following in (False, True):  # now, and not when a zero-shot model reads them after training
                self._worded(checked.labels.names, following)
        return encode_splits(checked, source, config, rejects)

    def build_model(
        self, source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
    ) -> nn.Module:
        """The backbone with a classification layer; with ``adapt=none`` the zero-shot classifier."""
        import torch

        from tunebook.families.text_classification.model import load_classifier, start_at

        if config.adapt.method is Method.none:
            return self._zero_shot(source, labels, config, encoded)
        head = self.head(labels)
        names = labels if head.outputs == len(labels) else [f"above {label}" for label in labels[: head.outputs]]
        model = load_classifier(source, config.model, config.adapt.method, head, names, encoded.tokenizer)
        targets = torch.from_numpy(encoded.splits["train"].items.targets)  # type: ignore[attr-defined]
        start_at(model, head.prior_logits(targets.bincount(minlength=len(labels)).float()))
        return model

    def _zero_shot(
        self, source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
    ) -> nn.Module:
        from tunebook.families.text_classification.zero_shot import is_language_model, load_zero_shot

        described = self.descriptions(labels, following=is_language_model(source))
        return load_zero_shot(source, encoded.tokenizer, described)

    def data(
        self, model: nn.Module, encoded: Encoded, source: ModelSource, config: TrainConfig
    ) -> tuple[nn.Module, FineTuneData]:
        """What is trained on what: the model on token ids, or with ``adapt=head`` its head on stored features."""
        from tunebook.families.text_classification.batches import feature_data, token_data

        if config.adapt.method is Method.head:
            return feature_data(model, encoded, source, config)
        return model, token_data(encoded, config)

    def classifier(self, model: nn.Module, labels: Sequence[str], encoded: Encoded) -> TextClassifier:
        """The model made ready to label texts."""
        from tunebook.families.text_classification.predictor import TextClassifier
        from tunebook.families.text_classification.zero_shot import ZeroShotClassifier

        longest = model.longest(encoded.max_length) if isinstance(model, ZeroShotClassifier) else encoded.max_length
        return TextClassifier(model, encoded.tokenizer, self.answer_head(model, labels), tuple(labels), longest)

    def zero_shot(
        self, source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
    ) -> TextClassifier | None:
        """The same backbone without any training, as a baseline; None where it starts from fresh weights."""
        if config.adapt.method is Method.scratch:
            return None
        return self.classifier(self._zero_shot(source, labels, config, encoded), labels, encoded)

    def answer_head(self, model: nn.Module, labels: Sequence[str]) -> Head:
        """The head that reads this model's logits: the recipe's, unless the model is the zero-shot one."""
        from tunebook.families.text_classification.zero_shot import ZeroShotClassifier
        from tunebook.training.softmax_head import SoftmaxHead

        return SoftmaxHead(len(labels)) if isinstance(model, ZeroShotClassifier) else self.head(labels)

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
        from tunebook.families.text_classification.evidence import finish

        return finish(self, prepared, model, fitted, run, record, facts)

    def open_bundle(self, folder: Path, manifest: Manifest) -> TextClassifier:
        """A text classifier, or the zero-shot one."""
        from tunebook.bundle.read import read_text_classifier

        return read_text_classifier(self, folder, manifest)

    def predict_columns(self, manifest: Manifest, column: str | None, files: Sequence[str]) -> Sequence[Column]:
        """The text alone."""
        from tunebook.data.columns import Column

        return [Column("text", column or manifest.columns["text"], "--text", "text")]

    def evaluate_columns(self, manifest: Manifest, data: EvaluateDataConfig) -> Sequence[Column]:
        """As in training, with what is renamed."""
        named = DataConfig(
            text=data.text or manifest.columns["text"],
            label=data.label or manifest.columns["label"],
            group=data.group,
        )
        return self.columns(named)

    def keys(self, rows: Rows) -> list[str]:
        """The texts."""
        return rows.texts("text")

    def evaluate(
        self,
        predictor: TextClassifier,
        rows: Rows,
        content: Content | None,
        config: EvaluateConfig,
        run: RunFolder,
        facts: Mapping[str, str],
        notes: Sequence[str],
    ) -> float:
        """Score a bundle on new rows."""
        from tunebook.families.text_classification.evidence import evaluate

        return evaluate(self, predictor, rows, config, run, facts, notes)

    def ladder(self) -> Family:
        """How such recipes are compared."""
        from tunebook.families.text_classification.baselines import TextLadder

        return TextLadder(self)
