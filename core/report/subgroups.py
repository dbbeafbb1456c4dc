"""Groups of rows on the page and on the terminal; what rests on few rows is hidden."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunebook.report.report import Cell, Table, show_hint, show_interval, show_name, show_number
from tunebook.report.verdicts import capital, with_interval
from tunebook.statistics.intervals import Score
from tunebook.statistics.subgroups import LEAST, Gap, SubgroupScore

NOTE = (
    f"Cells of fewer than {LEAST} rows are hidden: imprecise, and perhaps identifying. Overlapping intervals show no "
    "difference between groups; many comparisons find one by chance."
)
MOST_LINES = 20
"""Subgroups that the terminal lists."""


def few(count: int) -> Cell:
    """A count, hidden where it is small."""
    return count if count >= LEAST else f"< {LEAST}"


def score_cell(score: Score | None) -> Cell:
    """A score of a subgroup; why there is none, or that it is hidden."""
    if score is None:
        return None
    if score.defined:
        return score
    return f"< {LEAST}" if (score.reason or "").startswith("fewer than") else score.reason


def left_out_note(left_out: int) -> str:
    """Say how many lines of hidden cells a table does not show."""
    return f" {left_out} lines with hidden cells only are left out." if left_out else ""


def subgroups_table(subgroups: Sequence[SubgroupScore]) -> Table:
    """The watched metric of each value of each column."""
    shown = [row for row in subgroups if row.n >= LEAST]
    score = (shown or subgroups)[0].score
    rows: list[list[Cell]] = [[row.column, row.value, few(row.n), score_cell(row.score)] for row in shown]
    columns = ["column", "value", "rows", show_name(score.name) + show_hint(score)]
    return Table("Subgroups", columns, rows, NOTE + left_out_note(len(subgroups) - len(shown)))


def gap_table(gap: Gap) -> Table:
    """The two groups, and the first minus the second."""
    metric = gap.scores[0]
    named: list[list[Cell]] = [
        [f"{gap.column} {value}", few(score.n), score_cell(score)]
        for value, score in zip((gap.first, gap.second), gap.scores, strict=True)
    ]
    shown = show_number(gap.value)
    if not np.isnan(gap.low):
        shown += f" ({show_interval(gap.low, gap.high)})"
    rows: list[list[Cell]] = [*named, ["difference", None, gap.reason if np.isnan(gap.value) else shown]]
    columns = ["group", "rows", show_name(metric.name) + show_hint(metric)]
    return Table("Gap between two groups", columns, rows, f"{gap_in_words(gap)} The interval by: {gap.method}.")


def subgroup_in_words(subgroups: Sequence[SubgroupScore]) -> list[str]:
    """A line for each value of each column."""
    shown = [row for row in subgroups if row.score.defined][:MOST_LINES]
    lines = [f"{row.column} {row.value}: {show_name(row.score.name)} {with_interval(row.score)}" for row in shown]
    left = len(subgroups) - len(lines)
    return (
        [*lines, f"{left} subgroups are not listed here: they have too few rows, or are in the report"]
        if left
        else lines
    )


def gap_in_words(gap: Gap) -> str:
    """The gap in a sentence."""
    name = capital(show_name(gap.scores[0].name))
    start = f"{name}, {gap.column} {gap.first} minus {gap.second}:"
    if np.isnan(gap.value):
        return f"{start} not known ({gap.reason})."
    value = f"{gap.value:+.2g}"
    if np.isnan(gap.low):
        return f"{start} {value} (no interval: {gap.reason})."
    n = " and ".join(f"{score.n:,}" for score in gap.scores)
    interval = f"{100 * gap.confidence:g} % CI {gap.low:+.2g} to {gap.high:+.2g}; {n} test rows"
    verdict = "significant" if gap.distinguishable else "not significant with these test rows"
    return f"{start} {value} ({interval}): {verdict}."
