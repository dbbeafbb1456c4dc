"""What a source holds and nothing reads: columns, keys and files, named with how often they occur."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

COLUMNS, KEYS, FILES = "columns not read", "turn keys not read", "files passed over"
EXCLUDED = "turns not trained on"
"""Turns that their rows exclude from training, by the flag that does."""
RESULTS = "annotations that are no choices"
"""What Label Studio's other controls hold, such as regions and relations, by control and kind."""
ANNOTATED = "tasks of several annotators"
"""Tasks of Label Studio, by whether those who labelled them agree."""
MOST_NAMES, SHOWN, LONGEST_NAME = 1000, 20, 60
"""Names of a kind that are told apart, how many of them are shown, and how many characters of each."""
_UNITS = {COLUMNS: "rows", KEYS: "turns", RESULTS: "not read"}


class Unread:
    """Counts what is not read, by its kind and name.

    Beyond `MOST_NAMES` names of a kind, new ones are counted together: a file may have another key in every row.
    """

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}
        self._others: Counter[str] = Counter()

    def add(self, kind: str, counts: Mapping[str, int]) -> None:
        """Count several names of a kind."""
        for name, times in counts.items():
            self.count(kind, name, times)

    def count(self, kind: str, name: str, times: int = 1) -> None:
        """Count a name that is not read; ``times`` of 0 are none."""
        counts = self._counts.setdefault(kind, Counter())
        if name in counts or len(counts) < MOST_NAMES:
            counts[name] += times
        else:
            self._others[kind] += times

    def count_files(self, files: Iterable[Path]) -> None:
        """Count files by their extension; those without one by their name."""
        for file in files:
            self.count(FILES, file.suffix.lower() or file.name)

    def facts(self) -> dict[str, str]:
        """What to show: kind -> names with their counts, in the order they were found."""
        return {kind: self._listed(kind) for kind, counts in self._counts.items() if counts.total()}

    def _listed(self, kind: str) -> str:
        found = [(_shown(name), count) for name, count in self._counts[kind].items() if count]
        left = f"and {len(found) - SHOWN:,}{' or more' * bool(self._others[kind])} others"
        unit = _UNITS.get(kind)
        parts = [f"{name} ({count:,} {unit})" if unit else f"{count:,} {name}" for name, count in found[:SHOWN]]
        listed = ", ".join([*parts, left] if len(found) > SHOWN else parts)
        if unit:
            return listed
        total = sum(count for _, count in found) + self._others[kind]
        return f"{total:,} ({found[0][0] if len(found) == 1 else listed})"


def _shown(name: str) -> str:
    """The start of a name, fit for UTF-8 whatever wrote it."""
    return name[:LONGEST_NAME].encode("utf-8", "backslashreplace").decode("utf-8") or "''"
