"""`tunebook check`: everything that can be wrong before a model is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunebook.pipeline.prepare import check_sources, prepare, rejects_apart, typed
from tunebook.run_folder import remove_empty
from tunebook.training.surroundings import check_surroundings


def check_command(config: Any, run_dir: str) -> None:
    """Read, check, split, compare and tokenise the rows; train nothing and leave nothing behind."""
    remove_empty(Path(run_dir))  # Hydra made it; a check writes nothing
    with rejects_apart("check") as rejects:
        made = typed(config)
        check_surroundings(made)
        check_sources(made)  # some families load torch to look at what rows hold
        prepared = prepare(made, rejects)
        from tunebook.cli.output import print_data, print_preview  # torch begins here: the rows are read without it
        from tunebook.pipeline.rehearse import rehearsed
        from tunebook.pipeline.train import check_devices
        from tunebook.plugins.measures import check_metrics

        check_metrics(prepared.recipe, prepared.labels)
        notes = check_devices(made)
        prepared = rehearsed(prepared)
    print_data(prepared)
    print_preview(prepared)
    for note in notes:
        print(f"note: {note}")
    print("ready to train")
