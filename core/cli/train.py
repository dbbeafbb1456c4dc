"""`tunebook train`: from rows to a tuned model, its report and its bundle."""

from __future__ import annotations

from typing import Any

from tunebook.pipeline.prepare import check_sources, typed
from tunebook.run_folder import check_unused
from tunebook.training.surroundings import check_surroundings


def train_command(config: Any, run_dir: str) -> float | None:
    """Start a run in a new folder; returns the watched test metric, which sweepers can optimise."""
    made = typed(config)
    check_surroundings(made)
    check_unused(run_dir)
    check_sources(made)
    from tunebook.cli.run_training import start  # torch begins here: a wrong name or path is answered without it

    return start(made, run_dir)
