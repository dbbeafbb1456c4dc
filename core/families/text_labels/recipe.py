"""The family of recipes that put any number of labels on a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar

from tunebook.config.schema import DataConfig
from tunebook.data.columns import Column, group_columns, text_columns
from tunebook.families.family import Family, node_as
from tunebook.families.text_labels.family import FAMILY
from tunebook.families.text_labels.options import TextLabelsConfig as TextLabelsConfig
from tunebook.families.text_labels.options import TextLabelsData
from tunebook.recipe import Head, Recipe

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

    from tunebook.data.labels import Labels

TextLabelsConfigT = TypeVar("TextLabelsConfigT", bound=TextLabelsConfig)


class TextLabels(Recipe[TextLabelsConfigT]):
    """A text in, any number of labels out, or none; any transformers encoder or decoder with a classification layer."""

    family: ClassVar[Family] = FAMILY
    Config: ClassVar[type] = TextLabelsConfig
    watch: ClassVar[str] = "macro_f1"

    @property
    def own_topics(self) -> Sequence[str]:
        """The columns of 1 and 0 where the user names neither these nor a column that lists labels."""
        return ()

    def columns(self, data: DataConfig) -> Sequence[Column]:
        """A text (or two), its labels, and the group column where one is named."""
        from tunebook.families.text_labels.columns import training_columns

        own = node_as(data, TextLabelsData)
        labels = training_columns(self.options.topics, self.own_topics, own)
        return [*text_columns(own), *labels, *group_columns(data.group)]

    def check_labels(self, labels: Labels, data: DataConfig) -> None:
        """No label may be called as answers are that have none."""
        from tunebook.families.text_labels.columns import check_names

        listed = node_as(data, TextLabelsData).label is not None
        check_names(labels.names, "data.label" if listed else "recipe.topics")

    def head(self, labels: Sequence[str]) -> Head:
        """One output a label, a sigmoid each."""
        from tunebook.families.text_labels.head import LabelsHead

        return LabelsHead(len(labels))

    def metrics(self, labels: Sequence[str]) -> MetricCollection:
        """Macro and micro F1, average precision, the share of rows exactly right, the share of wrong labels."""
        from tunebook.statistics.several import several_metrics

        return several_metrics(len(labels))
