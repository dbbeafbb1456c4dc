"""The leak guard: rows and groups that stand on two sides of a split make every score too good."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tunebook.config.schema import Leaks
from tunebook.data.content import Compared, Layout
from tunebook.data.duplicates import Duplicates
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import FILE, LINE
from tunebook.errors import UserError

Kind = Literal["exact", "near", "group"]
TWIN = {"exact": "an exact duplicate", "near": "a near duplicate", "group": "its group"}
"""What a leaking row has on the other side, by kind of leak."""


@dataclass(frozen=True)
class Leak:
    """One row that stands on the wrong side of a split.

    Attributes:
        kind: The same text, nearly the same text, or the same group.
        split: Split of the row: "train", or "validation" when the other is in test.
        left: Where the row is ("train.csv:17").
        other: Split of the row like it: "validation" or "test".
        right: Where that one is.
        similarity: Jaccard similarity of the two texts; 1.0 for exact duplicates and groups.
    """

    kind: Kind
    split: str
    left: str
    other: str
    right: str
    similarity: float


@dataclass(frozen=True)
class _Case:
    """A leak by position in the layout."""

    kind: Kind
    row: int
    twin: int
    similarity: float


def guard(
    compared: Compared, policy: Leaks, rejects: RejectLog
) -> tuple[dict[str, np.ndarray], tuple[Leak, ...], list[str]]:
    """Find what leaks between the given splits, and act on it as ``data.leaks`` says.

    Args:
        compared: The splits and what they have in common.
        policy: error, drop (the row in train, or in validation when its twin is in test) or allow.
        rejects: Logs the dropped rows.

    Returns:
        The positions kept of each split, every leak found (one for each row on the wrong side), and notes.

    Raises:
        UserError: There are leaks and the policy is error, or dropping them leaves a split empty.
    """
    layout = compared.layout
    cases = _find(compared)
    leaks = tuple(_leak(case, layout) for case in cases)
    kept = {part.split: np.arange(len(part)) for part in layout.parts}
    if not cases:
        return kept, leaks, []
    summary = _summary(leaks)
    if policy is Leaks.error:
        raise _error(leaks, summary)
    if policy is Leaks.allow:
        return (
            kept,
            leaks,
            [f"kept (data.leaks=allow): {summary}; scores on these rows are too optimistic"],
        )
    rows = np.array([case.row for case in cases])
    for part, start in zip(layout.parts, layout.starts, strict=False):
        kept[part.split] = np.setdiff1d(kept[part.split], rows - start)
        if not len(kept[part.split]):
            raise UserError(
                f"every {part.split} row is in another split too ({summary})",
                code="data.shared-rows",
                where=f"data.{part.split}",
                fix="give other rows; are two splits the same file?",
            )
    _log(cases, leaks, layout, rejects)
    return kept, leaks, [f"dropped (data.leaks=drop): {summary}"]


def _find(compared: Compared) -> list[_Case]:
    """The leaks, at most one a row: an exact duplicate before a near one before a shared group."""
    sides = compared.layout.sides()
    cases: dict[int, _Case] = {}
    if compared.found is not None:
        for case in [*_exact(sides, compared.found), *_near(sides, compared.found)]:
            cases.setdefault(case.row, case)
    if compared.groups is not None:
        for case in _shared(sides, compared.groups):
            cases.setdefault(case.row, case)
    return [cases[row] for row in sorted(cases)]


def _exact(sides: np.ndarray, found: Duplicates) -> list[_Case]:
    # Test comes first in the layout, so the first of equal texts is in the most guarded split that has it.
    rows = np.flatnonzero(sides[found.first] < sides)
    return [_Case("exact", row, int(found.first[row]), 1.0) for row in rows.tolist()]


def _near(sides: np.ndarray, found: Duplicates) -> list[_Case]:
    """For each row the most similar text on a more guarded side."""
    ends = np.unique(np.r_[found.left, found.right])
    equals: dict[int, list[int]] = {int(end): [] for end in ends}
    for row in np.flatnonzero(np.isin(found.first, ends)).tolist():
        equals[int(found.first[row])].append(row)
    best: dict[int, _Case] = {}
    pairs = zip(found.left.tolist(), found.right.tolist(), found.similarity.tolist(), strict=True)
    for left, right, similarity in pairs:
        for one, other in ((left, right), (right, left)):
            for row in equals[one]:
                known = best.get(row)
                if sides[other] < sides[row] and (known is None or known.similarity < similarity):
                    best[row] = _Case("near", row, other, similarity)
    return list(best.values())


def _shared(sides: np.ndarray, groups: np.ndarray) -> list[_Case]:
    heads: dict[int, int] = {}
    cases = []
    for row, group in enumerate(groups.tolist()):
        head = heads.setdefault(group, row)
        if group >= 0 and sides[head] < sides[row]:
            cases.append(_Case("group", row, head, 1.0))
    return cases


def _leak(case: _Case, layout: Layout) -> Leak:
    split, other = layout.place(case.row)[0].split, layout.place(case.twin)[0].split
    return Leak(case.kind, split, layout.where(case.row), other, layout.where(case.twin), case.similarity)


def _summary(leaks: tuple[Leak, ...]) -> str:
    counts = Counter((leak.split, leak.kind, leak.other) for leak in leaks)
    return ", ".join(
        f"{count} {split} row{'s' * (count > 1)} with {TWIN[kind]} in {other}"
        for (split, kind, other), count in sorted(counts.items())
    )


def _error(leaks: tuple[Leak, ...], summary: str) -> UserError:
    shown = []
    for kind, twin in TWIN.items():
        for leak in [leak for leak in leaks if leak.kind == kind][:3]:
            degree = f" (similarity {leak.similarity:.2f})" if kind == "near" else ""
            shown.append(f"{leak.split} {leak.left} has {twin} in {leak.other}: {leak.right}{degree}")
    return UserError(
        f"the splits share rows: {summary}",
        code="data.shared-rows",
        where="\n         ".join(shown),
        fix="data.leaks=drop leaves these rows out of train and validation (test is never touched); "
        "data.leaks=allow continues, and the report says so"
        + ("; data.near_duplicate=1 compares exactly" if any(leak.kind == "near" for leak in leaks) else ""),
    )


def _log(cases: list[_Case], leaks: tuple[Leak, ...], layout: Layout, rejects: RejectLog) -> None:
    for case, leak in zip(cases, leaks, strict=True):
        part, i = layout.place(case.row)
        file, line = part.column(FILE)[i].as_py(), part.column(LINE)[i].as_py()
        rejects.drop(file, line, "", f"has {TWIN[leak.kind]} in {leak.other}: {leak.right}")
