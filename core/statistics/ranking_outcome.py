"""Rankings on the test rows: AUROC and average precision, of one finding or in the mean of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tunebook.statistics.draws import group_numbers
from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.outcomes import DIFFERENT, Draws, Outcome, Values, in_chunks, same_kind
from tunebook.statistics.ranking import Counts, Ranking, midranks, ranked
from tunebook.statistics.ranking_scores import STATISTICS, absent_class, mean_of_known

OfCounts = Callable[[Counts], Values]


@dataclass(frozen=True, eq=False)
class RankingOutcome:
    """A statistic of rankings, in the mean over the findings of which both classes occur."""

    target: NDArray[np.int64]
    """1 where the row has the finding, else 0, `[rows, findings]`."""
    scores_of_rows: Values
    """Larger where the finding is likelier, `[rows, findings]`."""
    groups: NDArray[np.int64] | None
    """Number of each row's group, `[rows]`."""
    of_counts: OfCounts
    limits: tuple[float, float] = (0.0, 1.0)

    @property
    def units(self) -> int:
        """Rows, or groups."""
        return len(self.target) if self.groups is None else int(self.groups.max(initial=-1)) + 1

    @property
    def evidence(self) -> int:
        """Units of the rarer class, of the finding with fewest."""
        numbers = np.arange(len(self.target)) if self.groups is None else self.groups
        of_class = [[len(np.unique(numbers[column == one])) for one in (0, 1)] for column in self.target.T]
        return int(np.min(of_class))

    @cached_property
    def _rankings(self) -> list[Ranking]:
        return [ranked(*column) for column in zip(self.target.T, self.scores_of_rows.T, strict=True)]

    def scores(self, counts: Draws) -> Values:
        """Score resamples `[draws, units]`; one without a class of some finding averages the others."""
        return in_chunks(lambda part: self._mean(self._rankings, self._of_rows(part)), counts, 2 * len(self.target))

    def exchanged(self, other: RankingOutcome, swaps: Draws) -> Values:
        """Score with the ranks of some units `[draws, units]` taken from another run.

        Ranks, because one model's probabilities need not be on the other's scale (Bandos, Rockette & Gur, 2005).
        """
        same_kind(self, other)
        if self.of_counts is not other.of_counts or not np.array_equal(self.target, other.target):
            raise ValueError(DIFFERENT)
        both = [
            ranked(np.tile(target, 2), np.append(midranks(own), midranks(theirs)))
            for target, own, theirs in zip(self.target.T, self.scores_of_rows.T, other.scores_of_rows.T, strict=True)
        ]

        def measured(part: Draws) -> Values:
            taken = self._of_rows(part)
            return self._mean(both, np.concatenate([1 - taken, taken], axis=1))

        return in_chunks(measured, swaps, 4 * len(self.target))

    def _of_rows(self, counts: Draws) -> Draws:
        return counts if self.groups is None else counts[:, self.groups]

    def _mean(self, rankings: list[Ranking], weights: Draws) -> Values:
        return mean_of_known(np.stack([self.of_counts(each.counts(weights)) for each in rankings], axis=1))


def independent_units(runs: Sequence[Outcome]) -> int:
    """Units that the spread of a score rests on: all, but in a ranking those of the rarer class.

    A ranking of two positives says nothing, among however many negatives.
    """
    return min(run.evidence if isinstance(run, RankingOutcome) else run.units for run in runs)


def ranking_outcome(predictions: FindingPredictions, statistic: str = "auroc") -> RankingOutcome:
    """Take a run's probabilities, to be scored by `auroc` or `average_precision`.

    Raises:
        ValueError: Of no finding both classes occur.
    """
    columns = [i for i, name in enumerate(predictions.findings) if absent_class(predictions.target[:, i], name) is None]
    if not columns:
        raise ValueError("no finding has rows with it and rows without it")
    groups = None if predictions.groups is None else group_numbers(predictions.groups)
    return RankingOutcome(
        predictions.target[:, columns], predictions.probabilities[:, columns], groups, STATISTICS[statistic]
    )
