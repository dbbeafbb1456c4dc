"""Which of many intents a customer's message has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunebook import TextClassification, TextClassificationConfig

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


@dataclass
class TicketRoutingConfig(TextClassificationConfig):
    """Options of ticket_routing."""

    shortest: int = 3
    """Messages of fewer words are rejected."""


class TicketRouting(TextClassification[TicketRoutingConfig]):
    """The queue that a message belongs in; an agent sees the three most probable."""

    Config = TicketRoutingConfig
    contract = 1

    def invalid(self, row: Mapping[str, str]) -> str | None:
        """Refuse messages that say nothing."""
        words = len(row["text"].split())
        return f"has {words} words, fewer than recipe.shortest" if words < self.options.shortest else None

    def describe(self, labels: Sequence[str]) -> list[str]:
        """Each intent in words, for zero-shot."""
        return [f"This message is about: {label.replace('_', ' ')}." for label in labels]

    def metrics(self, labels: Sequence[str]) -> MetricCollection:
        """Also how often the right queue is among the three most probable."""
        from torchmetrics.classification import MulticlassAccuracy

        metrics = super().metrics(labels)
        several = MulticlassAccuracy(len(labels), average="micro", top_k=min(3, len(labels)))
        metrics.add_metrics({"top_three": several})
        return metrics
