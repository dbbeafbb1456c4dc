"""`tunebook _rung`: the runs of a comparison, handed to a launcher of Hydra's by a small process without torch."""

from __future__ import annotations

from collections.abc import Sequence

from tunebook.cli.run import compose_and_run
from tunebook.compare.lifetime import end_with_parent


def start_rungs(arguments: Sequence[str]) -> None:
    """Let Hydra spread them."""
    end_with_parent()
    compose_and_run("rung", arguments)
