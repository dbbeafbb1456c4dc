"""The page of a model's evidence, put together as every family's is; what is a family's own stands in the middle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunebook.report import figures
from tunebook.report.report import Figure, Report, Section, Table, Text
from tunebook.report.tables import facts_tables, scores_table
from tunebook.report.verdicts import Differences, verdict
from tunebook.statistics.intervals import Score


def evidence_page(
    title: str,
    models: Mapping[str, Sequence[Score]],
    watch: str,
    *,
    differences: Differences | None = None,
    own: Sequence[Section] = (),
    counted: str = "test rows",
    history: Sequence[Mapping[str, Any]] = (),
    splits: Table | None = None,
    data_facts: Mapping[str, str] | None = None,
    config_facts: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    subtitle: str = "",
) -> Report:
    """Put a page together: verdict, scores, the family's own sections, learning curve, data and configuration.

    Args:
        title: Name of the recipe.
        models: Model -> its scores on the same rows; the one that the page is about comes first.
        watch: Name of the metric that the verdict speaks of.
        differences: Another model -> metric -> the first model minus that one.
        own: The family's sections, such as its pictures and the worst mistakes.
        counted: What the n of a score counts.
        history: Rows for `figures.learning_curve`.
        splits: What each split holds.
        data_facts: Rows read, kept, rejected ...: what -> how many.
        config_facts: Config key -> value.
        notes: Anything a reader must know, one paragraph each.
        subtitle: Model, adaptation, time: one line.
    """
    name, *others = models
    sections: list[Section] = [scores_table(models, what=counted)]
    if any(score.defined for score in models[name]):
        shown = "Scores compared with baselines" if others else "Scores"
        sections.append(Figure(shown, figures.scores_with_intervals(models)))
    if notes:
        sections.append(Text("Notes", notes))
    sections += own
    if history:
        sections.append(Figure("Learning curve", figures.learning_curve(history)))
    if splits:
        sections.append(splits)
    sections += facts_tables(data_facts, config_facts)
    found = verdict(models[name], {other: models[other] for other in others}, differences or {}, watch)
    return Report(title, subtitle, found, sections)
