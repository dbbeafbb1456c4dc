"""Tables that the reports of all families have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunebook.report.report import Cell, Table, show_hint, show_name
from tunebook.statistics.intervals import Score


def scores_table(
    models: Mapping[str, Sequence[Score]],
    notes: Sequence[str] = (),
    rows: int | None = None,
    what: str = "test rows",
    title: str = "Scores",
) -> Table:
    """Tabulate every score of every model.

    Args:
        models: Model -> its scores; the tuned one comes first.
        notes: Further sentences below the table.
        rows: Number of test rows; default: that of the first score.
        what: What is counted.
        title: Of the table.
    """
    names = dict.fromkeys(score.name for scores in models.values() for score in scores)
    found = {model: {score.name: score for score in scores} for model, scores in models.items()}
    lines: list[list[Cell]] = []
    for name in names:
        scored = [found[model].get(name) for model in models]
        known = next(score for score in scored if score is not None)
        lines.append([show_name(name) + show_hint(known), *scored, known.method])
    first = next((score for scores in models.values() for score in scores), None)
    confidence, counted = (first.confidence, first.n) if first else (0.95, 0)
    reasons = {f"{show_name(s.name)}: {s.reason}." for scores in models.values() for s in scores if s.reason}
    note = f"Below each score its {100 * confidence:g} % CI; {counted if rows is None else rows} {what}."
    return Table(title, ["metric", *models, "interval by"], lines, " ".join([note, *notes, *sorted(reasons)]))


def counts_table(title: str, what: str, split_counts: Mapping[str, Mapping[str, int]]) -> Table:
    """Tabulate the counts of each split.

    Args:
        title: Of the table.
        what: Heading of what is counted.
        split_counts: Split -> what -> how many.
    """
    names = dict.fromkeys(name for counts in split_counts.values() for name in counts)
    lines: list[list[Cell]] = [[name, *(counts.get(name, 0) for counts in split_counts.values())] for name in names]
    return Table(title, [what, *split_counts], lines)


def facts_tables(data: Mapping[str, str] | None, config: Mapping[str, str] | None) -> list[Table]:
    """Tabulate the counts of rows and the configuration; missing ones are left out.

    Args:
        data: What -> how many.
        config: Config key -> value.
    """
    named = (("Data", "what", data), ("Configuration", "key", config))
    return [
        Table(title, [what, "value"], [list(fact) for fact in facts.items()]) for title, what, facts in named if facts
    ]
