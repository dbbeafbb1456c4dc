"""What is known of a pre-trained model: its scores on the test rows, and its curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunebook.families.evidence import Evidence

if TYPE_CHECKING:
    from tunebook.report.report import Report
    from tunebook.statistics.intervals import Score


@dataclass(frozen=True)
class PretrainingEvidence(Evidence):
    """Scores of one model.

    Attributes:
        scores: On the test rows.
        counted: What a score's n counts, such as "test blocks".
    """

    scores: Sequence[Score]
    counted: str

    @property
    def models(self) -> Mapping[str, Sequence[Score]]:
        """The one model."""
        return {"pre-trained": self.scores}

    def report(self, **details: Any) -> Report:
        """Scores, curve and facts."""
        return super().report(counted=self.counted, **details)
