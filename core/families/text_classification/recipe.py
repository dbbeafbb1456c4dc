"""The family of recipes that put a label on a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from tunebook.config.schema import DataConfig, LabelledDataConfig
from tunebook.data.columns import Column, group_columns, text_columns
from tunebook.families.family import Family, node_as
from tunebook.families.text_classification.family import FAMILY
from tunebook.families.text_classification.options import TextClassificationConfig as TextClassificationConfig
from tunebook.families.text_classification.options import TextData
from tunebook.families.text_classification.wording import descriptions
from tunebook.recipe import ConfigT, Head, Recipe

if TYPE_CHECKING:
    from torch import Tensor
    from torchmetrics import MetricCollection

    from tunebook.data.draws import Draws
    from tunebook.data.labels import Labels


class TextClassification(Recipe[ConfigT]):
    """A text in, one label out; any transformers encoder or decoder with a classification layer."""

    family: ClassVar[Family] = FAMILY
    Config: ClassVar[type] = TextClassificationConfig
    watch: ClassVar[str] = "macro_f1"

    def columns(self, data: DataConfig) -> Sequence[Column]:
        """A text (or two), a label, and the group column where one is named."""
        own = node_as(data, TextData)
        label = Column("label", own.label, "data.label", "label")
        return [*text_columns(own), label, *group_columns(data.group)]

    def check_labels(self, labels: Labels, data: LabelledDataConfig) -> None:
        """Descriptions must fit the labels, whether or not a zero-shot model will read them."""
        descriptions(self, labels.names)

    def augment(self, inputs: dict[str, Tensor], draws: Draws) -> dict[str, Tensor]:
        """Training texts changed, as the model takes them.

        Args:
            inputs: ``input_ids`` and ``attention_mask``, ``[batch, tokens]``, on the model's device; tokens beyond a
                text's end have a mask of 0.
            draws: Random numbers that follow from the seed, the epoch and the row: take all from it, and a resumed run
                goes on with the same texts.

        Returns:
            The inputs, of the same shapes and types.
        """
        return inputs

    def head(self, labels: Sequence[str]) -> Head:
        """One output a label."""
        from tunebook.training.softmax_head import SoftmaxHead

        return SoftmaxHead(len(labels))

    def metrics(self, labels: Sequence[str]) -> MetricCollection:
        """Accuracy, and the mean of the labels' F1, of the answers that the head decides on."""
        from torchmetrics import MetricCollection
        from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

        from tunebook.statistics.metrics import Decided

        size = len(labels)
        return MetricCollection(
            {
                "accuracy": Decided(MulticlassAccuracy(size, average="micro")),
                "macro_f1": Decided(MulticlassF1Score(size, average="macro")),
            }
        )

    def describe(self, labels: Sequence[str]) -> list[str]:
        """A description of each label, for zero-shot; a recipe knows better ones than the bare names."""
        return list(labels)

    def verdicts(self, labels: Sequence[str]) -> list[str]:
        """Each label as it might be written under a text, for zero-shot with a language model."""
        return list(labels)
