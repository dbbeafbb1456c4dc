"""How much better one model is than another on the same rows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """The score of a model minus that of another on the same rows."""

    value: float
    low: float
    high: float
    n: int
    distinguishable: bool
    """Whether the rows show a difference: the interval leaves out 0 and `p_value` is below 1 - confidence."""
    p_value: float
    """How often swapping the two models' answers at random makes a difference as large."""
    confidence: float = 0.95
    method: str = "paired bootstrap"
