"""What a model wrote."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Completion:
    """One answer.

    Attributes:
        text: As people read it.
        score: Mean log-probability of its tokens in nats; nan where there is nothing to choose from.
        stopped_at: Tokens after which it was cut off, as nothing had closed it; None where it ended by itself.
    """

    text: str
    score: float = float("nan")
    stopped_at: int | None = None
