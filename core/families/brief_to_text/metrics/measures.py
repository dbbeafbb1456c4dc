"""How often copies keep to their briefs, as sums over rows: each measure has an interval and can be compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tunebook.families.brief_to_text.metrics.check import CopyCheck
from tunebook.families.text_generation.metrics.facts import stated
from tunebook.statistics.sums import RowSums

Fields = Mapping[str, str | Sequence[str]]
"""What a brief says, by name: one value or several."""

SAYS_NOTHING = frozenset(("", "yes", "no", "true", "false"))
"""Values that a copy puts into other words: `family friendly: yes`."""


def brief_measures(checks: Sequence[CopyCheck]) -> dict[str, RowSums]:
    """Take every measure of checked copies, one check a row: name -> what its value and its resamples are made of.

    All are shares, and go from 0 to 1:

    - `must_mention_recall`: of the must-mentions, those stated.
    - `within_limits`: of the copies with a limit, those that keep to it.
    - `forbidden_share`: of the copies with a must-avoid, those that use one.
    - `invented_numbers_share`: of all copies, those with a number that their brief does not have.
    - `invented_names_share`: likewise with a name, of the copies whose names could be looked for.
    - `clean_share`: of all copies, those in which nothing was found, and which were not cut off.
    """
    limited = [each.constraints.max_characters is not None or each.constraints.max_words is not None for each in checks]
    avoiding = [bool(each.constraints.must_avoid) for each in checks]
    named = [each.names_unchecked is None or bool(each.invented_names) for each in checks]
    mentions = [
        (len(each.constraints.must_mention) - len(each.missing), len(each.constraints.must_mention)) for each in checks
    ]
    everywhere = [True] * len(checks)
    found = [
        RowSums(
            "must_mention_recall", _sums(mentions), share=True, reason=_none(mentions, "no brief has must-mentions")
        ),
        _rate("within_limits", checks, lambda each: not each.too_long, limited, "no copy has a limit", True),
        _rate("forbidden_share", checks, lambda each: bool(each.forbidden), avoiding, "no brief forbids a word"),
        _rate("invented_numbers_share", checks, lambda each: bool(each.invented_numbers), everywhere),
        _rate("invented_names_share", checks, lambda each: bool(each.invented_names), named, "no copy's names show"),
        _rate("clean_share", checks, lambda each: each.clean, everywhere, higher_is_better=True),
    ]
    return {measure.name: measure for measure in found}


def parsable(copies: Sequence[str], holds: Callable[[str], bool]) -> RowSums:
    """Share of the copies that can be parsed, and are what their structure says."""
    sums = np.array([(holds(copy), 1) for copy in copies], dtype=np.float64).reshape(-1, 2)
    return RowSums("parsable", sums, share=True)


def field_coverage(copies: Sequence[str], fields: Sequence[Fields]) -> RowSums:
    """Share of the values of each brief that its copy states, as `facts.states` reads them.

    A low bound: a copy that puts a value into other words ("families are welcome", "by the river") does not state
    it. Values that are yes or no are not counted at all.
    """
    rows = []
    for copy, brief in zip(copies, fields, strict=True):
        values = [value for value in values_of(brief) if value.strip().casefold() not in SAYS_NOTHING]
        rows.append((stated(copy, values), len(values)))
    return RowSums("field_coverage", _sums(rows), share=True, reason=_none(rows, "no brief has a value"))


def values_of(brief: Fields) -> list[str]:
    """List the values of a brief in order, each alone."""
    return [value for each in brief.values() for value in ([each] if isinstance(each, str) else each)]


def _rate(
    name: str,
    checks: Sequence[CopyCheck],
    counts: Callable[[CopyCheck], bool],
    applies: Sequence[bool],
    nowhere: str = "there are no rows",
    higher_is_better: bool = False,
) -> RowSums:
    rows = [(counts(each) and one, one) for each, one in zip(checks, applies, strict=True)]
    return RowSums(name, _sums(rows), share=True, higher_is_better=higher_is_better, reason=_none(rows, nowhere))


def _none(rows: Sequence[tuple[float, float]], reason: str) -> str | None:
    return None if any(count for _, count in rows) else reason


def _sums(rows: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    return np.array(rows, dtype=np.float64).reshape(-1, 2)
