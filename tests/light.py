"""The command line in a fresh Python, and the heavy libraries that it imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = {
    "torch",
    "lightning",
    "transformers",
    "torchmetrics",
    "peft",
    "psutil",
    "scipy",
    "sklearn",
    "pandas",
    "matplotlib",
    "datasets",
}


def said_lightly(folder: Path, *arguments: str) -> str:
    """What a command writes to standard error, if it imports nothing heavy."""
    code = (
        "import sys\nfrom tunebook.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        f"except SystemExit: print('HEAVY', sorted({HEAVY} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=folder)
    assert "HEAVY []" in done.stderr, done.stderr
    return done.stderr
