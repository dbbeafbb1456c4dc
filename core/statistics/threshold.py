"""The threshold below which a model is not sure, as it is stored: light, for it is read before any model is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Threshold:
    """The least probability of an answer that is given, and what the validation rows say of it.

    Attributes:
        value: The probability; 0 where every answer is given.
        wanted: The share of wrong answers wanted among those given.
        promised: Whether the upper bound is no more than that.
        bound: One-sided upper bound of the share of wrong answers among those given.
        confidence: Of the bound.
        rows: Validation rows.
        answered: Those among them with an answer that is given.
        errors: Those among them with a wrong one.
    """

    value: float
    wanted: float
    promised: bool
    bound: float
    confidence: float
    rows: int
    answered: int
    errors: int

    def __post_init__(self) -> None:
        shares = (self.value, self.wanted, self.bound, self.confidence)
        if not all(0 <= share <= 1 for share in shares):  # nan fails too
            raise ValueError("the numbers of a threshold are shares, from 0 to 1")
        if not 0 <= self.errors <= self.answered <= self.rows:
            raise ValueError("a threshold has no more errors than answered rows, and no more of these than rows")

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Threshold:
        """Read what `to_json` gave.

        Raises:
            ValueError: A value is missing, unknown, of another type or impossible.
        """
        kinds: dict[str, type] = dict.fromkeys(("value", "wanted", "bound", "confidence"), float)
        kinds |= {"promised": bool, "rows": int, "answered": int, "errors": int}
        if set(content) != set(kinds):
            raise ValueError(f"a threshold has the keys {', '.join(sorted(kinds))}")
        for key, kind in kinds.items():
            whole = kind is float and type(content[key]) is int  # JSON writers shorten 1.0 to 1
            if type(content[key]) is not kind and not whole:
                raise ValueError(f"{key} of a threshold must be {kind.__name__}, not {content[key]!r}")
        return cls(**content)
