"""A bar for work that takes long, where someone can watch it move."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def counting(what: str, total: int, wanted: bool = True) -> Iterator[Callable[[int], None]]:
    """A bar for work that is done in pieces; yields the function to call after each piece."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=not (wanted and sys.stderr.isatty())) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, advance=done)
