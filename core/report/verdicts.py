"""What scores and differences allow to be said, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tunebook.report.report import show_hint, show_name, show_number
from tunebook.statistics.differences import Difference
from tunebook.statistics.intervals import Score

Differences = Mapping[str, Mapping[str, Difference]]
"""Another model -> metric -> tuned minus other."""

_SPELLED = {
    "majority": "always answering the commonest training label",
    "mean": "always answering the mean of the training rows",
    "ridge": "ridge regression on TF-IDF",
    "shares": "the labels' shares of the training rows, whatever the image",
    "zero-shot": "the model before any training",
    "zero_shot": "the model before any training",
    "before tuning": "the same model before tuning",
}


def verdict(
    scores: Sequence[Score], others: Mapping[str, Sequence[Score]], differences: Differences, watch: str
) -> list[str]:
    """Say in words what a metric shows, and against each other model only what the rows allow.

    Args:
        scores: Of the tuned model.
        others: Another model -> its scores on the same rows; one that lacks the metric is passed over.
        differences: What was compared row by row.
        watch: Name of the metric.
    """
    tuned = next((score for score in scores if score.name == watch), None)
    if tuned is None:
        return []
    name = capital(show_name(watch))
    if not tuned.defined:
        return [f"{name} is undefined on these test rows: {tuned.reason}."]
    sentences = [f"{name}{show_hint(tuned)} {with_interval(tuned)}."]
    for model, found in others.items():
        other = next((score for score in found if score.name == watch), None)
        if other is not None and other.defined:
            sentences.append(_against(model, other, differences.get(model, {}).get(watch)))
    return sentences


def _against(model: str, other: Score, difference: Difference | None) -> str:
    start = f"Against {_rounded(other.value)} for {_SPELLED.get(model, model)}"
    if difference is None:
        return f"{start}; the two were not compared row by row."
    if np.isnan(difference.low):
        return f"{start}: the difference {_rounded(difference.value, '+')} has no interval, and may be chance."
    if not difference.distinguishable:
        value, low, high = (_rounded(each, "+") for each in (difference.value, difference.low, difference.high))
        return f"{start}: the difference {value} ({low} to {high}) may be chance; the test rows cannot show one."
    better = (difference.value > 0) == other.higher_is_better
    low, high = (_rounded(each) for each in sorted((abs(difference.low), abs(difference.high))))
    gain = f"{'better' if better else 'worse'} by {_rounded(abs(difference.value))} ({low} to {high})"
    return f"{start}: {gain}, more than chance among {difference.n} test rows explains."


def with_interval(score: Score) -> str:
    """Write a score with its interval and its rows, or why it has no interval."""
    value = _rounded(score.value)
    if np.isnan(score.low):
        return f"{value} (n = {score.n}; no interval: {score.reason})"
    percent = f"{100 * score.confidence:g} %"
    return f"{value} ({percent} interval {_rounded(score.low)} to {_rounded(score.high)}, n = {score.n})"


def capital(name: str) -> str:
    """Begin with a capital, unless the first word has one of its own (chrF)."""
    first = name.split(" ")[0]
    return name if first != first.lower() else name[:1].upper() + name[1:]


def _rounded(value: float, sign: str = "") -> str:
    """Write two decimals, and none where they would say nothing."""
    return (
        f"{value:{sign}.2f}" if abs(value) < 100 else f"{'+' if sign and value > 0 else ''}{show_number(round(value))}"
    )
