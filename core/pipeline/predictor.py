"""What `predict` needs of a finished model, whatever its family, and `chat` of one that talks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from tunebook.data.content import Content
    from tunebook.data.rows import Rows
    from tunebook.families.text_generation.data.message import Message
    from tunebook.families.text_generation.model.generate import Generation


class Predictor(Protocol):
    """A finished model as `predict` uses it.

    Attributes:
        truncated: Inputs that were cut so far, to be told.
        unfinished: Answers so far that were cut off at the most tokens allowed; 0 of models that label.
    """

    truncated: int
    unfinished: int

    @property
    def columns(self) -> Sequence[str]:
        """What `answers` tells of a row, in the order written."""
        ...

    def refused(self, rows: Rows) -> Mapping[int, str]:
        """The rows that the model cannot be asked, with the reason."""
        ...

    def answers(
        self, rows: Rows, content: Content | None, device: Any, advance: Callable[[int], None]
    ) -> Iterator[Mapping[str, str | float]]:
        """Answer rows in order, by column; ``content`` is what they hold beside their text."""
        ...


@runtime_checkable
class Chatting(Protocol):
    """A finished model as `chat` uses it.

    Attributes:
        truncated: Conversations whose earliest turns were left out so far.
        unfinished: Answers that were cut off at the most tokens allowed so far.
        generation: How answers are chosen; `chat` sets it.
    """

    truncated: int
    unfinished: int
    generation: Generation

    def asked(self, messages: Sequence[Message]) -> Any:
        """What the model reads of a conversation that waits for its answer; raises Unsupervisable where it cannot."""
        ...

    def stream(self, messages: Sequence[Message], device: Any) -> Iterator[str]:
        """Answer such a conversation piece by piece; what `asked` refuses is refused before the first piece."""
        ...
