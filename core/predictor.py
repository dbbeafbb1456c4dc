"""What `predict` needs of a finished model, whatever its family."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tunebook.data.compare import Content
    from tunebook.data.rows import Rows


class Predictor(Protocol):
    """A finished model as `predict` uses it.

    Attributes:
        truncated: Inputs that were cut so far, to be told.
    """

    truncated: int

    @property
    def columns(self) -> Sequence[str]:
        """What `answers` tells of a row, in the order written."""
        ...

    def answers(
        self, rows: Rows, content: Content | None, device: Any, advance: Callable[[int], None]
    ) -> Iterator[Mapping[str, str | float]]:
        """Answer rows in order, by column; ``content`` is what they hold beside their text."""
        ...
