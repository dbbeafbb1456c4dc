"""The base class of recipes that find names in sentences, and one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from tunebook import Recipe
from tunebook.families.family import Family, node_as

from .family import FAMILY, EntityTaggingConfig, SentenceData

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

    from tunebook.config.schema import DataConfig
    from tunebook.data.columns import Column

    from .spans import TagHead


class EntityTagging(Recipe[EntityTaggingConfig]):
    """A sentence in, a tag for each of its words out."""

    family: ClassVar[Family] = FAMILY
    Config: ClassVar[type] = EntityTaggingConfig
    watch: ClassVar[str] = "span_f1"

    @property
    def tags(self) -> list[str]:
        """All tags, "O" first."""
        return ["O", *(f"{prefix}-{kind}" for kind in self.options.entities for prefix in "BI")]

    def columns(self, data: DataConfig) -> Sequence[Column]:
        """A sentence and its tags, and the group column where one is named."""
        from tunebook.data.columns import Column

        named = node_as(data, SentenceData)
        sides = [Column("text", named.text, "data.text", "text"), Column("tags", named.label, "data.label", "text")]
        return sides + ([Column("group", data.group, "data.group", "any")] if data.group else [])

    def invalid(self, row: Mapping[str, str]) -> str | None:
        """Every word has a tag, of a known kind."""
        words, tags = row["text"].split(), row.get("tags", "").split()
        if len(words) != len(tags):
            return f"has {len(words)} words and {len(tags)} tags"
        unknown = [tag for tag in tags if tag not in self.tags]
        return f"has the tag {unknown[0]}; recipe.entities are {', '.join(self.options.entities)}" if unknown else None

    def head(self, labels: Sequence[str]) -> TagHead:
        """One output a tag; the tags follow from the options."""
        from .spans import TagHead

        return TagHead(self.tags)

    def metrics(self, labels: Sequence[str]) -> MetricCollection:
        """F1 of whole names."""
        from torchmetrics import MetricCollection

        from tunebook import Decided
        from tunebook.statistics.sums_metric import SumsMetric

        from .spans import f1

        return MetricCollection({"span_f1": Decided(SumsMetric(self.head(labels).counts, 3, f1))})


class LocalNews(EntityTagging):
    """People, organisations and places."""
