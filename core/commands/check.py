"""`tunebook check`: everything that can be wrong before a model is loaded."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any


def check_command(config: Any, run_dir: str) -> None:
    """Read, check, split, compare and tokenise the rows; train nothing and leave nothing behind."""
    from tunebook.commands.setup import prepare, typed
    from tunebook.commands.summary import print_data

    with contextlib.suppress(OSError):
        Path(run_dir).rmdir()  # Hydra made it; a check writes nothing
        Path(run_dir).parent.rmdir()
    rejects = Path(tempfile.mkdtemp(prefix="tunebook-check-")) / "rejects.jsonl"
    try:
        prepared = prepare(typed(config), rejects)
    finally:
        if rejects.is_file():
            print(f"rejected rows: {rejects}")
        else:
            rejects.parent.rmdir()
    print_data(prepared)
    print("ready to train")
