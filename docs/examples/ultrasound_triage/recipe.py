"""Which ultrasound images a specialist must see today."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunebook import Head, ImageClassification, ImageClassificationConfig


@dataclass
class UltrasoundTriageConfig(ImageClassificationConfig):
    """Options of ultrasound_triage."""

    miss_cost: float = 5.0
    """Cost of an urgent image that waits, relative to one shown needlessly."""


class UltrasoundTriage(ImageClassification[UltrasoundTriageConfig]):
    """Urgent or not, at the price of a mistake."""

    Config = UltrasoundTriageConfig
    contract = 1

    @property
    def cautions(self) -> Sequence[str]:
        """Stands at the top of every report and model card."""
        return ("An example with drawn pictures. Not for use on patients.",)

    def head(self, labels: Sequence[str]) -> Head:
        """Loss and decision of asymmetric cost."""
        from .head import CostHead

        return CostHead(len(labels), self.options.miss_cost)
