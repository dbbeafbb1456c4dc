"""Where tables are printed."""

from __future__ import annotations

import sys

from rich.console import Console


def console(piped: int = 120) -> Console:
    """The terminal, or so many columns in a file or a pipe, which have no width: `... | grep y` finds whole lines."""
    return Console(width=None if sys.stdout.isatty() else piped, highlight=False)
