"""What is left of each split once its rows are encoded."""

from __future__ import annotations

from collections.abc import Mapping

from tunebook.data.module import Examples
from tunebook.data.rejects import RejectLog
from tunebook.errors import UserError


def check_usable(splits: Mapping[str, Examples], rejects: RejectLog, what: str) -> None:
    """Write the rejects of encoding too, and refuse splits of which nothing is left.

    Args:
        splits: The examples by split.
        rejects: Has the rows that cannot be encoded.
        what: What a row holds, for the message.

    Raises:
        UserError: Too many rows are rejected, or a split is empty.
    """
    rejects.write()
    rejects.check()
    for name, examples in splits.items():
        if not len(examples):
            raise UserError(
                f"No {name} {what} can be used.",
                code="data.no-usable-rows",
                where=str(rejects.path),
                fix="give other rows",
            )
