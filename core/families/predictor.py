"""What `predict` needs of a finished model, whatever its family."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from tunebook.data.content import Content
from tunebook.data.rows import Rows


class JsonText(str):
    """A cell that is JSON: a value of its own in JSON Lines, and this text in CSV."""

    __slots__ = ()


class Predictor(Protocol):
    """A finished model as `predict` uses it.

    Attributes:
        truncated: Inputs that were truncated so far, to be reported.
        unfinished: Answers so far that were cut off at the most tokens allowed; 0 of models that label.
    """

    truncated: int
    unfinished: int

    @property
    def columns(self) -> Sequence[str]:
        """Columns of `answers`, in the order written."""
        ...

    def refused(self, rows: Rows) -> Mapping[int, str]:
        """The rows that the model cannot answer, with the reason."""
        ...

    def answers(
        self, rows: Rows, content: Content | None, device: Any, advance: Callable[[int], None]
    ) -> Iterator[Mapping[str, str | float]]:
        """Answer rows in order, by column; ``content`` is what they hold besides their text."""
        ...


@runtime_checkable
class DoubtingPredictor(Predictor, Protocol):
    """A model that can say of an answer that it is not sure.

    Attributes:
        not_sure: Probability of an answer below which it says so; None where it says nothing.
        unsure: Such answers so far, to be reported.
    """

    not_sure: float | None
    unsure: int
