"""Rows with personal data, counted by split, kind and place; what stands there is never repeated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tunebook.config.texts import PersonalData, PersonalDataConfig, personal_policy
from tunebook.data.columns import TEXT, Column
from tunebook.data.content import Content, Passages
from tunebook.data.personal import MAYBE, MAYBE_ANY, find_personal
from tunebook.data.rows import FILE, LINE, Rows
from tunebook.errors import UserError

FACT = "personal data"
SHOWN_LINES, SHOWN_PLACES = 5, 12
"""Lines that are named of each kind in each place, and such places in a message."""
_KEY = "data.pii"


@dataclass(frozen=True)
class Finding:
    """Rows of one file with personal data of one kind in one place.

    Attributes:
        split: The rows' split.
        kind: See `tunebook.data.personal`.
        place: A column, or who speaks in a conversation.
        file: The file.
        rows: How many rows.
        lines: The lines of the first `SHOWN_LINES` of them.
    """

    split: str
    kind: str
    place: str
    file: str
    rows: int
    lines: tuple[int, ...]

    def sentence(self) -> str:
        """What is where, as "train: phone number in 'text': reviews.csv:3, 9 and 4 more"."""
        lines = ", ".join(map(str, self.lines))
        more = f" and {self.rows - len(self.lines):,} more" if self.rows > len(self.lines) else ""
        return f"{self.split}: {self.kind} in {self.place!r}: {self.file}:{lines}{more}"


@dataclass(frozen=True)
class PersonalRows:
    """What was found in the rows of a run.

    Attributes:
        findings: Every kind in every place.
        counts: Split -> rows with any, and of each kind.
        totals: Split -> rows.
        looked: Whether the rows hold text at all.
    """

    findings: tuple[Finding, ...]
    counts: Mapping[str, tuple[int, Mapping[str, int]]]
    totals: Mapping[str, int]
    looked: bool = True

    @property
    def rows(self) -> int:
        """Rows with personal data."""
        return sum(count for count, _ in self.counts.values())

    def facts(self) -> dict[str, str]:
        """Counts by split, without files; nothing of rows without text."""
        if not self.looked:
            return {}
        parts = [
            f"{split} {count:,} of {self.totals[split]:,} rows "
            f"({', '.join(f'{kind} {n:,}' for kind, n in kinds.items())})"
            for split, (count, kinds) in self.counts.items()
            if count
        ]
        return {FACT: "; ".join(parts) or "none found"}

    def notes(self, data: object) -> list[str]:
        """Where it is; nothing where there is none.

        Args:
            data: The ``data`` part of the config, which may have an option that refuses it.
        """
        if not self.rows:
            return []
        hint = f" ({_KEY}=error would stop)" if isinstance(data, PersonalDataConfig) else ""
        places = "; ".join(_shown([finding.sentence() for finding in self.findings]))
        return [f"{_counted(self.rows)} personal data{hint}: {places}"]

    def record(self) -> list[dict[str, Any]]:
        """Every finding as plain values."""
        return [{**asdict(finding), "lines": list(finding.lines)} for finding in self.findings]

    def check(self, data: object) -> None:
        """Stop where the ``data`` part of a config wants none.

        Raises:
            UserError: It does, and there is some.
        """
        if not self.rows or personal_policy(data) is PersonalData.allow:
            return
        raise UserError(
            f"{_counted(self.rows)} personal data ({_KEY}=error)",
            code="data.personal-data",
            where="\n         ".join(_shown([finding.sentence() for finding in self.findings])),
            fix=f"take it out of these rows, or leave them out; {_KEY}=allow trains on them and says so",
        )


def _counted(rows: int) -> str:
    return f"{rows:,} row{'s hold' if rows > 1 else ' holds'}"


def _shown(sentences: Sequence[str]) -> list[str]:
    left = len(sentences) - SHOWN_PLACES
    return [*sentences[:SHOWN_PLACES], *([f"... and {left:,} more places"] if left > 0 else [])]


def count_personal(splits: Mapping[str, Rows], columns: Sequence[Column], content: Content | None) -> PersonalRows:
    """Look for personal data in everything that a model reads or writes of rows.

    Args:
        splits: The rows.
        columns: What they were read from; of rows without content of their own those of the kind "text" are looked at.
        content: What rows hold beside their text, which says in what places it speaks (``passages``).
    """
    readers = _readers(columns, content)
    found: dict[tuple[str, str, str, str], list[int]] = {}
    counts = {}
    for split, rows in splits.items():
        kinds: Counter[str] = Counter()
        number = 0
        for batch in rows.table.to_batches():
            here = {role: read for role, read in readers.items() if role in batch.schema.names}
            for i, maybe in _candidates(batch, here):
                places = _places(batch, here, i, maybe)
                if not places:
                    continue
                number += 1
                kinds.update({kind for _, kind in places})
                file, line = batch.column(FILE)[i].as_py(), batch.column(LINE)[i].as_py()
                for place, kind in places:
                    found.setdefault((split, kind, place, file), []).append(line)
        counts[split] = number, dict(kinds.most_common())
    findings = tuple(Finding(*key, len(lines), tuple(lines[:SHOWN_LINES])) for key, lines in found.items())
    return PersonalRows(findings, counts, {split: len(rows) for split, rows in splits.items()}, bool(readers))


def _readers(columns: Sequence[Column], content: Content | None) -> dict[str, Passages]:
    """Role -> how its value is taken apart."""
    if content is not None:  # contents written before there were passages have none
        return dict(getattr(content, "passages", {}))
    return {column.role: _whole(_name(column)) for column in columns if column.kind == "text"}


def _whole(place: str) -> Passages:
    return lambda value: [(place, value)]


def _name(column: Column) -> str:
    beside = column.template.columns if column.template is not None and column.role == TEXT else ()
    return f"{column.name} with {', '.join(beside)}" if beside else column.name


def _candidates(batch: pa.RecordBatch, readers: Mapping[str, Passages]) -> Iterator[tuple[int, dict[str, list[str]]]]:
    """The rows that may hold personal data, with the kinds by role: most hold none, which Arrow sees fast."""
    kinds: dict[int, dict[str, list[str]]] = {}
    for role in readers:
        column = batch.column(role)
        some = np.flatnonzero(_matches(column, MAYBE_ANY))
        for kind, patterns in MAYBE.items():
            left = some
            for pattern in patterns:
                left = left[_matches(column.take(pa.array(left)), pattern)]
            for i in left.tolist():
                kinds.setdefault(i, {}).setdefault(role, []).append(kind)
    yield from sorted(kinds.items())


def _matches(column: pa.Array, pattern: str) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (
        pc.match_substring_regex(column, pattern).fill_null(False).to_numpy(zero_copy_only=False).astype(bool)
    )
    return found


def _places(
    batch: pa.RecordBatch, readers: Mapping[str, Passages], row: int, kinds: Mapping[str, Collection[str]]
) -> dict[tuple[str, str], None]:
    """Place and kind of everything personal in a row, each once."""
    found: dict[tuple[str, str], None] = {}
    for role, wanted in kinds.items():
        for place, text in readers[role](batch.column(role)[row].as_py()):
            found |= {(place, each.kind): None for each in find_personal(text, wanted)}
    return found
