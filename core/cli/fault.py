"""An exception that nobody foresaw, as a file to send and one line that names it."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import distributions

from tunebook import __version__
from tunebook.plugins.failures import TRACEBACK

EXIT_CODE = 70
"""EX_SOFTWARE of sysexits.h: a fault of the program, not of what it was given."""
PACKAGES = frozenset(
    (
        *("torch", "torchvision", "lightning", "transformers", "tokenizers", "timm", "peft", "torchmetrics", "numpy"),
        *("hydra-core", "omegaconf", "pyarrow", "pillow", "pydicom", "safetensors", "scikit-learn", "scipy"),
    )
)


def report_fault(error: BaseException, arguments: Sequence[str]) -> int:
    """Write what happened to a file and name it; returns the exit code.

    ``TUNEBOOK_TRACEBACK=1`` has it raised instead.
    """
    if os.environ.get(TRACEBACK):
        raise error
    text = _text(error, arguments)
    print(f"error: This is a fault of Tunebook, not of what it was given: {_in_a_line(error)}", file=sys.stderr)
    try:
        handle, file = tempfile.mkstemp(prefix="tunebook-fault-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
    except OSError:  # a full disk, perhaps, or no handle left
        print(text, file=sys.stderr)
        return EXIT_CODE
    print(f"  where: {file}", file=sys.stderr)
    print("  fix:   please report it with this file (look through it first: it names your files)", file=sys.stderr)
    return EXIT_CODE


def _in_a_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _text(error: BaseException, arguments: Sequence[str]) -> str:
    found = {each.metadata["Name"].lower(): each.version for each in distributions() if each.metadata["Name"]}
    lines = [
        f"tunebook {__version__}, {datetime.now().astimezone().isoformat(timespec='seconds')}",
        f"command: tunebook {' '.join(arguments)}",
        f"Python {platform.python_version()}, {platform.platform()}",
        ", ".join(f"{name} {found[name]}" for name in sorted(PACKAGES & found.keys())),
        "",
        "".join(traceback.format_exception(error)),
    ]
    return "\n".join(lines)
