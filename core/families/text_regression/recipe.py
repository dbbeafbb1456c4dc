"""The family of recipes that answer a text with a number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from tunebook.config.schema import DataConfig
from tunebook.data.columns import Column, group_columns, text_columns
from tunebook.families.family import Family, node_as
from tunebook.families.text_regression.family import FAMILY
from tunebook.families.text_regression.options import NumberData
from tunebook.families.text_regression.options import TextRegressionConfig as TextRegressionConfig
from tunebook.recipe import ConfigT, Head, Recipe

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


class TextRegression(Recipe[ConfigT]):
    """A text in, one number out; any transformers encoder or decoder with a final layer of one output."""

    family: ClassVar[Family] = FAMILY
    Config: ClassVar[type] = TextRegressionConfig
    watch: ClassVar[str] = "rmse"
    watch_mode: ClassVar[str] = "min"

    def columns(self, data: DataConfig) -> Sequence[Column]:
        """A text (or two), a number, and the group column where one is named."""
        own = node_as(data, NumberData)
        label = Column("label", own.label, "data.label", "number")
        return [*text_columns(own), label, *group_columns(data.group)]

    def head(self, labels: Sequence[str]) -> Head:
        """One output; squared error. There are no labels."""
        from tunebook.families.text_regression.head import RegressionHead

        return RegressionHead()

    def metrics(self, labels: Sequence[str]) -> MetricCollection:
        """Root mean squared and mean absolute error in the user's units, R2, Spearman's rank correlation."""
        from tunebook.statistics.number_metrics import number_metrics

        return number_metrics()
