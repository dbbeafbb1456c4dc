"""Operating points: the thresholds at which a probability becomes an answer, chosen on validation rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.errors import UserError
from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.ranking import CurvePoints, roc_points

NUMBERS = {"sensitivity": 1, "specificity": 1, "abstain": 2, "threshold": 1}
FORMS = ("sensitivity 0.95", "specificity 0.95", "abstain 0.95 0.95", "threshold 0.5")
FALLBACK = 0.5
ROUNDING = 1e-12
"""A share that misses its target by this much is a matter of floating point."""


@dataclass(frozen=True)
class OperatingRule:
    """How a threshold is chosen: `sensitivity`, `specificity`, `abstain` or `threshold`, and the numbers wanted."""

    name: str
    kind: str
    targets: tuple[float, ...]

    @property
    def text(self) -> str:
        """The rule as `parse_rule` reads it."""
        return " ".join([self.kind, *(f"{target:.12g}" for target in self.targets)])


def parse_rule(name: str, text: str) -> OperatingRule:
    """Read a rule as it stands in the config.

    - `sensitivity 0.95`: the highest threshold that finds at least this share of the rows with the finding.
    - `specificity 0.95`: the lowest threshold that clears at least this share of the rows without it.
    - `abstain 0.95 0.95`: rule out below the first of these thresholds, rule in from the second, and give no
      answer between.
    - `threshold 0.5`: this threshold.

    Raises:
        UserError: It is none of these.
    """
    kind, *numbers = str(text).split() or [""]
    try:
        targets = tuple(float(number) for number in numbers)
    except ValueError:
        targets = ()
    lowest = 0.0 if kind == "threshold" else math.ulp(0.0)
    if len(targets) != NUMBERS.get(kind) or not all(lowest <= target <= 1 for target in targets):
        raise UserError(
            f"{text!r} is not a rule for an operating point",
            code="config.bad-rule",
            where=f"recipe.operating_points.{name}",
            fix=f"write one of: {', '.join(FORMS)}; with numbers above 0 and up to 1",
        )
    return OperatingRule(name, kind, targets)


@dataclass(frozen=True)
class OperatingPoint:
    """The thresholds of one finding: positive from `high` on, negative below `low`, no answer between."""

    name: str
    """The user's name for it."""
    rule: str
    """The rule that chose it, as text."""
    finding: str
    low: float
    high: float
    reached: bool
    """Whether the validation rows allowed the rule; if not the threshold is 0.5."""
    n_positive: int
    """Validation rows with the finding."""
    n_negative: int
    """Validation rows without it."""
    note: str = ""
    """What a reader of the point has to know."""

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1:  # nan fails too
            raise ValueError(f"thresholds of {self.finding!r} must be 0 <= low <= high <= 1: {self.low}, {self.high}")
        if self.n_positive < 0 or self.n_negative < 0:
            raise ValueError(f"counts of {self.finding!r} cannot be negative")

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> OperatingPoint:
        """Read what `to_json` gave.

        Raises:
            ValueError: A value is missing, unknown, of another type or impossible.
        """
        kinds: dict[str, type] = dict.fromkeys(("name", "rule", "finding", "note"), str)
        kinds |= {"low": float, "high": float, "reached": bool, "n_positive": int, "n_negative": int}
        if set(content) != set(kinds):
            raise ValueError(f"an operating point has the keys {', '.join(sorted(kinds))}")
        for key, kind in kinds.items():
            value = content[key]
            whole = kind is float and type(value) is int  # JSON writers shorten 1.0 to 1
            if type(value) is not kind and not whole:
                raise ValueError(f"{key} of an operating point must be {kind.__name__}, not {value!r}")
        try:
            parse_rule(content["name"], content["rule"])
        except UserError as error:
            raise ValueError(error.what) from None
        return cls(**content)


def choose_points(rules: Sequence[OperatingRule], predictions: FindingPredictions) -> list[OperatingPoint]:
    """Choose the thresholds of every rule and finding, in this order.

    Args:
        rules: From `parse_rule`.
        predictions: On validation rows: on test rows the numbers wanted would be met by construction.
    """
    return [_choose(rule, predictions, i) for rule in rules for i in range(len(predictions.findings))]


def _choose(rule: OperatingRule, predictions: FindingPredictions, column: int) -> OperatingPoint:
    finding, target = predictions.findings[column], predictions.target[:, column] == 1
    low, high, problem = _thresholds(rule, target, predictions.probabilities[:, column])
    note = problem
    if low is None or high is None:
        low = high = FALLBACK
        note = f"{problem}: threshold {FALLBACK:g} instead of {rule.text}"
    elif low > high:
        high = low
        note = "the two thresholds cross: a single one reaches both rates, so the model never abstains"
    return OperatingPoint(
        name=rule.name,
        rule=rule.text,
        finding=finding,
        low=low,
        high=high,
        reached=not problem,
        n_positive=int(target.sum()),
        n_negative=int((~target).sum()),
        note=note,
    )


def _thresholds(
    rule: OperatingRule, target: NDArray[np.bool_], probabilities: NDArray[np.float64]
) -> tuple[float | None, float | None, str]:
    """Find low and high; or the problem, where the rows do not allow the rule."""
    if rule.kind == "threshold":
        return rule.targets[0], rule.targets[0], ""
    if rule.kind != "specificity" and not target.any():
        return None, None, "no validation row has the finding"
    if rule.kind != "sensitivity" and target.all():
        return None, None, "no validation row is without the finding"
    curve = roc_points(target, probabilities)
    if rule.kind == "sensitivity":
        low = keeping_sensitivity(curve, rule.targets[0])
        return low, low, ""
    high = keeping_specificity(curve, rule.targets[-1])
    problem = "" if high is not None else "too many rows without the finding have the probability 1"
    return high if rule.kind == "specificity" else keeping_sensitivity(curve, rule.targets[0]), high, problem


def keeping_sensitivity(curve: CurvePoints, share: float) -> float:
    """Give the highest threshold with at least this sensitivity."""
    place = int(np.argmax(curve.y >= share - ROUNDING))
    lower = curve.thresholds[place + 1] if place + 1 < len(curve.thresholds) else 0.0
    return _between(float(lower), float(curve.thresholds[place]))


def keeping_specificity(curve: CurvePoints, share: float) -> float | None:
    """Give the lowest threshold with at least this specificity; None if even 1 is too low."""
    place = int(np.flatnonzero(1 - curve.x >= share - ROUNDING)[-1])
    if place == 0:  # no score may be positive
        highest = float(curve.thresholds[1])
        return _between(highest, 1.0) if highest < 1 else None
    lower = curve.thresholds[place + 1] if place + 1 < len(curve.thresholds) else 0.0
    return _between(float(lower), float(curve.thresholds[place]))


def _between(lower: float, upper: float) -> float:
    """Split two neighbouring scores in the middle, so that rounding elsewhere moves no row across."""
    middle = (lower + upper) / 2
    return middle if middle > lower else upper


def answers(point: OperatingPoint, probabilities: NDArray[np.float64]) -> NDArray[np.int8]:
    """Turn probabilities of the point's finding `[rows]` into 1 (positive), 0 (negative) or -1 (no answer)."""
    open_or_in = np.where(probabilities >= point.high, 1, -1)
    return np.where(probabilities < point.low, 0, open_or_in).astype(np.int8)
