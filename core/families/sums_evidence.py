"""Evidence of a family whose metrics are formulas of sums over rows; the family says which, and shows its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tunebook.config.score import ScoreConfig
from tunebook.data.rows import Rows
from tunebook.families.evidence import Evidence, resampling
from tunebook.statistics.difference import Difference
from tunebook.statistics.intervals import Score
from tunebook.statistics.sums import RowSums, score
from tunebook.statistics.sums_difference import sums_difference


@dataclass(frozen=True)
class SumsEvidence(Evidence):
    """Scores of a model and of its baselines on the same rows, each with its interval.

    Attributes:
        rows: Those that were answered; whole groups are resampled where they have any.
        config: How surely.
        seed: Of the resamples.
    """

    rows: Rows
    config: ScoreConfig
    seed: int

    @abstractmethod
    def measures(self) -> Mapping[str, Mapping[str, RowSums]]:
        """Model -> metric -> what each row adds to it; the model that the evidence is about comes first."""

    @cached_property
    def models(self) -> Mapping[str, Sequence[Score]]:
        """Scores by model, its own first."""
        return {name: [self.score(each) for each in found.values()] for name, found in self.measures().items()}

    def score(self, measure: RowSums) -> Score:
        """A measure with its interval."""
        return score(measure, self.rows.groups, **resampling(self.config, self.seed))

    @cached_property
    def differences(self) -> Mapping[str, Mapping[str, Difference]]:
        """Baseline -> metric -> the model minus the baseline."""
        (_, own), *others = self.measures().items()
        return {
            name: {metric: self._difference(own[metric], each) for metric, each in found.items()}
            for name, found in others
        }

    def _difference(self, own: RowSums, other: RowSums) -> Difference:
        return sums_difference(own, other, self.rows.groups, **resampling(self.config, self.seed))
