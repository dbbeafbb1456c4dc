"""``python -m tunebook``; Lightning runs this file itself for the further processes of a run."""

from __future__ import annotations

import sys
from pathlib import Path


def run() -> None:
    """Run the command line, without this folder on the path: its `statistics` is not Python's."""
    here = str(Path(__file__).parent)
    sys.path[:] = [folder for folder in sys.path if folder != here]

    from tunebook.cli.main import main

    main()


if __name__ == "__main__":
    run()
