"""`tunebook _member`: one run of a comparison, in the process that is its own."""

from __future__ import annotations

from collections.abc import Sequence

from tunebook.cli.refusals import as_user_error
from tunebook.compare.run_process import member_command


def do_member(arguments: Sequence[str]) -> None:
    """Do the run ``<plan.json>#<number>``."""
    member_command(arguments[0], as_user_error)
