"""The watched metric of groups of rows, computed and shown alike for every family."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.config.score import GapScoreConfig, ScoreConfig, SubgroupScoreConfig
from tunebook.data.rows import Rows
from tunebook.data.subgroups import GAP, values_of
from tunebook.report.report import Section
from tunebook.report.subgroups import gap_in_words, gap_table, subgroup_in_words, subgroups_table
from tunebook.statistics.intervals import UNDEFINED, Score
from tunebook.statistics.subgroups import LEAST, Gap, Part, SubgroupScore, gap, hidden_below, members

PartOf = Callable[[NDArray[np.int64]], Part]
"""The watched metric of some rows, given their numbers."""


def resampling(config: ScoreConfig, seed: int) -> dict[str, Any]:
    """How intervals are made, as the functions of `tunebook.statistics` take it."""
    return {"confidence": config.confidence, "resamples": config.resamples, "seed": seed}


@dataclass(frozen=True)
class Strata:
    """How the scored rows fall into groups, and what is asked of these.

    Attributes:
        subgroups: Column -> its value in each row, "" where there is none.
        gap: A column and two of its values; None where no gap is asked for.
        gap_values: The value of that column in each row.
        settings: How intervals are made.
    """

    subgroups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    gap: Sequence[str] | None = None
    gap_values: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Rows, config: ScoreConfig, seed: int) -> Strata:
        """Those of some test rows, as a config asks for them."""
        names = config.subgroups if isinstance(config, SubgroupScoreConfig) else []
        wanted = config.gap if isinstance(config, GapScoreConfig) else None
        values = rows.texts(GAP) if wanted is not None else ()
        return cls(values_of(rows, names), wanted, values, resampling(config, seed))


@dataclass(frozen=True)
class StrataScores:
    """What was found in the groups of rows.

    Attributes:
        strata: The groups.
        watch: Its name.
        part: The watched metric of some rows.
    """

    strata: Strata
    watch: str
    part: PartOf

    @cached_property
    def subgroups(self) -> list[SubgroupScore]:
        """Each value of each column; scores of few rows are hidden."""
        return [
            SubgroupScore(column, value, len(rows), hidden_below(self._part(rows).score, LEAST))
            for column, values in self.strata.subgroups.items()
            for value, rows in members(values)
        ]

    @cached_property
    def gap(self) -> Gap | None:
        """The two groups that are compared."""
        if self.strata.gap is None:
            return None
        column, first, second = self.strata.gap
        held = np.array(self.strata.gap_values, dtype=object)
        one, other = (self._part(np.flatnonzero(held == value)) for value in (first, second))
        return gap(column, (first, second), (one, other), **self.strata.settings)

    def _part(self, rows: NDArray[np.int64]) -> Part:
        """That of a few rows is not computed: it would be hidden, and a column may have a value in every row."""
        if len(rows) >= LEAST:
            return self.part(rows)
        nan, _ = UNDEFINED
        return Part(Score(self.watch, nan, nan, nan, len(rows), self.strata.settings["confidence"]), None)

    def sections(self) -> list[Section]:
        """The tables of the page."""
        tables: list[Section] = [subgroups_table(self.subgroups)] if self.subgroups else []
        return [*tables, gap_table(self.gap)] if self.gap is not None else tables

    def lines(self) -> list[str]:
        """What the terminal shows, a sentence each."""
        return [*subgroup_in_words(self.subgroups), *([] if self.gap is None else [gap_in_words(self.gap)])]

    def to_json(self) -> dict[str, Any]:
        """The keys of metrics.json; counts of few rows are None, as the page hides them."""
        found: dict[str, Any] = {}
        if self.subgroups:
            found["subgroups"] = [_plain(row) for row in self.subgroups]
        if self.gap is not None:
            plain = asdict(self.gap)
            for score in plain["scores"]:
                score["n"] = score["n"] if score["n"] >= LEAST else None
            found["gap"] = {**plain, "distinguishable": self.gap.distinguishable}
        return found


def _plain(row: SubgroupScore) -> dict[str, Any]:
    score = asdict(row.score)
    score["n"] = row.score.n if row.score.n >= LEAST else None
    return {"column": row.column, "value": row.value, "n": row.n if row.n >= LEAST else None, row.score.name: score}
