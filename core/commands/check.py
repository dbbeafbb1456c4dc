"""`tunebook check`: everything that can be wrong before a model is loaded."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any


def check_command(config: Any, run_dir: str) -> None:
    """Read, check, split, compare and tokenise the rows; train nothing and leave nothing behind."""
    from tunebook.commands.setup import prepare, typed
    from tunebook.commands.summary import print_data, print_preview
    from tunebook.plugins.answers import check_metrics
    from tunebook.run_folder import remove_empty

    remove_empty(Path(run_dir))  # Hydra made it; a check writes nothing
    rejects = Path(tempfile.mkdtemp(prefix="tunebook-check-")) / "rejects.jsonl"
    try:
        prepared = prepare(typed(config), rejects)
        check_metrics(prepared.recipe, prepared.labels)
    finally:
        if rejects.is_file():
            print(f"rejected rows: {rejects}")
        else:
            rejects.parent.rmdir()
    print_data(prepared)
    print_preview(prepared)
    print("ready to train")
