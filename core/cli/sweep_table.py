"""The table at the end of a sweep."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from tunebook.cli.console import console
from tunebook.report.report import show_interval
from tunebook.terminal import in_markup

if TYPE_CHECKING:
    from tunebook.cli.sweep import SweptRun


def print_table(runs: Sequence[SweptRun]) -> None:
    """One line a run: what distinguishes it from the others, the watched metric with its interval, and its folder."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in ("run", "overrides", "result", "folder"):
        table.add_column(name, overflow="fold", justify="right" if name == "run" else "left")
    shared = set.intersection(*(set(run.overrides) for run in runs)) if len(runs) > 1 else set()
    for run in runs:
        own = " ".join(override for override in run.overrides if override not in shared)
        result = f"[red]failed:[/red] {in_markup(run.error)}" if run.error else in_markup(_score(run))
        table.add_row(str(run.number), in_markup(own), result, in_markup(_shown(run.folder)))
    console().print(table)


def _score(run: SweptRun) -> str:
    """The watched metric of a run with its interval, as its metrics.json has it."""
    file = Path(run.folder) / "metrics.json"
    if not run.metric or not file.is_file():
        return "finished"
    found = json.loads(file.read_text(encoding="utf-8"))["test"].get(run.metric) or {}
    if found.get("value") is None:
        return f"{run.metric}: undefined"
    score = f"{run.metric} {found['value']:.3f}"
    if found.get("low") is None or found.get("high") is None:
        return score
    return f"{score} ({show_interval(found['low'], found['high'], '{:.3f}'.format)})"


def _shown(folder: str) -> str:
    """A folder as it is typed from here."""
    path = Path(folder)
    return str(path.relative_to(Path.cwd())) if folder and path.is_relative_to(Path.cwd()) else folder
