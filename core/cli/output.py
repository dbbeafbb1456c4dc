"""What a run says on the terminal: its rows before training, its scores after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from tunebook.cli.console import console
from tunebook.families.prepared import Prepared
from tunebook.pipeline.facts import data_facts
from tunebook.pipeline.judge import Judged
from tunebook.report.report import show_interval
from tunebook.statistics.intervals import Score
from tunebook.terminal import drawn, in_markup


def say(line: str) -> None:
    """Print a line at once."""
    print(drawn(line), flush=True)


def print_data(prepared: Prepared[Any]) -> None:
    """Rows, labels in their order with counts, texts over the length, and notes."""
    terminal = console()
    for what, value in data_facts(prepared).items():
        terminal.print(f"{what}: {in_markup(value)}")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("label" if prepared.labels else "rows")
    splits = ("train", "validation", "test")
    for split in splits:
        table.add_column(split, justify="right")
    counts = prepared.data.labels.counts if prepared.data.labels else {}
    for name in prepared.labels:
        table.add_row(in_markup(name), *(str(counts[split].get(name, 0)) for split in splits))
    table.add_row("all", *(str(len(prepared.encoded.rows[split])) for split in splits), style="bold")
    terminal.print(table)
    for note in prepared.data.notes:
        terminal.print(f"note: {in_markup(note)}")


def print_preview(prepared: Prepared[Any]) -> None:
    """A few training rows as the model takes them, where the family shows any."""
    terminal = console()
    for shown in prepared.recipe.family.stages.preview(prepared.recipe, prepared.encoded):
        terminal.print(shown)


def print_judged(judged: Judged) -> None:
    """All scores with their intervals, the verdict in words, and what else the family says of them."""
    print_scores(judged.evidence.models, judged.verdict)
    for line in [*judged.evidence.groups_of_rows.lines(), *judged.evidence.summary]:
        print(drawn(line))


def print_scores(models: Mapping[str, Sequence[Score]], verdict: Sequence[str]) -> None:
    """All scores with their intervals, and the verdict in words."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("test metric")
    for name in models:
        table.add_column(name, justify="right")
    first = next(iter(models.values()))
    for score in first:
        same = [next((s for s in scores if s.name == score.name), None) for scores in models.values()]
        table.add_row(score.name, *(_cell(s) for s in same))
    terminal = console()
    terminal.print(table)
    for sentence in verdict:
        terminal.print(in_markup(sentence))


def _cell(score: Score | None) -> str:
    if score is None or not score.defined:
        return "undefined"
    return f"{score.value:.3f} ({show_interval(score.low, score.high, '{:.3f}'.format)})"
