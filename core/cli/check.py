"""`tunebook check`: everything that can be wrong before a model is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def check_command(config: Any, run_dir: str) -> None:
    """Read, check, split, compare and tokenise the rows; train nothing and leave nothing behind."""
    from tunebook.cli.output import print_data, print_preview
    from tunebook.pipeline.prepare import prepare, rejects_apart, typed
    from tunebook.plugins.measures import check_metrics
    from tunebook.run_folder import remove_empty

    remove_empty(Path(run_dir))  # Hydra made it; a check writes nothing
    with rejects_apart("check") as rejects:
        prepared = prepare(typed(config), rejects)
        check_metrics(prepared.recipe, prepared.labels)
    print_data(prepared)
    print_preview(prepared)
    print("ready to train")
