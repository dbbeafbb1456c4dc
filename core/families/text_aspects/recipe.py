"""The family of recipes that give a text a value for each of several aspects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from tunebook.config.schema import DataConfig
from tunebook.data.columns import Column, group_columns, text_columns
from tunebook.families.family import Family, node_as
from tunebook.families.text_aspects.columns import aspect_columns, is_aspect
from tunebook.families.text_aspects.family import FAMILY
from tunebook.families.text_aspects.options import AspectData
from tunebook.families.text_aspects.options import TextAspectsConfig as TextAspectsConfig
from tunebook.recipe import ConfigT, Head, Recipe

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


class TextAspects(Recipe[ConfigT]):
    """A text in, a value for each aspect out; any transformers encoder or decoder with a classification layer."""

    family: ClassVar[Family] = FAMILY
    Config: ClassVar[type] = TextAspectsConfig
    watch: ClassVar[str] = "macro_f1"

    @property
    def _own(self) -> TextAspectsConfig:
        """The options, as the family has them."""
        return node_as(self.options, TextAspectsConfig)

    def columns(self, data: DataConfig) -> Sequence[Column]:
        """A text (or two), the aspects, and the group column where one is named."""
        others = [*text_columns(node_as(data, AspectData)), *group_columns(data.group)]
        return [*others, *aspect_columns(self._own, others)]

    def invalid(self, row: Mapping[str, str]) -> str | None:
        """A row without any value teaches nothing."""
        return None if any(map(is_aspect, row)) else "has no value of any aspect"

    def head(self, labels: Sequence[str]) -> Head:
        """One output for each value of each aspect; softmax over the values of an aspect."""
        from tunebook.families.text_aspects.head import AspectsHead

        return AspectsHead(len(self._own.aspects), len(self._own.values))

    def metrics(self, labels: Sequence[str]) -> MetricCollection:
        """The mean of the aspects' macro F1, and the share of rows with all aspects right."""
        from tunebook.families.text_aspects.measures import validation_metrics

        return validation_metrics(len(self._own.aspects), len(self._own.values))
