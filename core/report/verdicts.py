"""One-sentence summaries of scores and of significant and non-significant differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tunebook.report.report import show_hint, show_name, show_number
from tunebook.statistics.difference import Difference
from tunebook.statistics.intervals import Score

Differences = Mapping[str, Mapping[str, Difference]]
"""Another model -> metric -> tuned minus other."""

_SPELLED = {
    "majority": "always predicting the most frequent training label",
    "mean": "always predicting the mean of the training rows",
    "ridge": "ridge regression on TF-IDF",
    "usual labels": "giving every row the labels that at least half of the training rows have",
    "shares": "predicting the label frequencies of the training rows",
    "zero-shot": "the model before any training",
    "zero_shot": "the model before any training",
    "before tuning": "the same model before tuning",
}
_NAMED = {"template": "the template", "nearest training brief": "the copy of the nearest training brief"}


def verdict(
    scores: Sequence[Score], others: Mapping[str, Sequence[Score]], differences: Differences, watch: str
) -> list[str]:
    """Summarise a metric, and each comparison with another model: its difference, interval and significance.

    Args:
        scores: Of the tuned model.
        others: Another model -> its scores on the same rows; one that lacks the metric is skipped.
        differences: Paired differences on the same rows.
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


def winners(
    scores: Sequence[Score], others: Mapping[str, Sequence[Score]], differences: Differences, metrics: Sequence[str]
) -> list[str]:
    """Name each other model that is significantly better in some of these metrics, and in which.

    Args:
        scores: Of the tuned model.
        others: Another model -> its scores on the same rows.
        differences: Paired differences on the same rows.
        metrics: Names of the metrics.
    """
    tuned, sentences = {score.name: score for score in scores if score.defined}, []
    for model, found in others.items():
        known = {score.name: score for score in found if score.defined and score.name in tuned}
        tested = {name: differences.get(model, {}).get(name) for name in metrics if name in known}
        significant = {name: each for name, each in tested.items() if each is not None and each.distinguishable}
        lost = [name for name, each in significant.items() if (each.value > 0) != known[name].higher_is_better]
        if not lost:
            continue
        each_lost = (f"{show_name(n)} {_rounded(known[n].value)} to {_rounded(tuned[n].value)}" for n in lost)
        won = [show_name(name) for name in significant if name not in lost]
        instead = f" The tuned model is better in {', '.join(won)}." if won else ""
        sentences.append(f"{capital(_NAMED.get(model, model))} beats the tuned model: {'; '.join(each_lost)}.{instead}")
    return sentences


def _against(model: str, other: Score, difference: Difference | None) -> str:
    start = f"Compared with {_rounded(other.value)} for {_SPELLED.get(model, model)}"
    if difference is None:
        return f"{start}: not tested for significance."
    if np.isnan(difference.low):
        return f"{start}, difference {_rounded(difference.value, '+')} (no interval): not tested for significance."
    percent = f"{100 * difference.confidence:g} % CI"
    if not difference.distinguishable:
        value, low, high = (_rounded(each, "+") for each in (difference.value, difference.low, difference.high))
        interval = f"{percent} {low} to {high}; {difference.n} test rows"
        return f"{start}, difference {value} ({interval}): not significant with these test rows."
    better = (difference.value > 0) == other.higher_is_better
    low, high = (_rounded(each) for each in sorted((abs(difference.low), abs(difference.high))))
    gain = f"{_rounded(abs(difference.value))} {'better' if better else 'worse'}"
    return f"{start}, {gain} ({percent} {low} to {high}; {difference.n} test rows): significant."


def with_interval(score: Score) -> str:
    """Format a score with its interval and number of rows, or the reason why it has no interval."""
    value = _rounded(score.value)
    if np.isnan(score.low):
        return f"{value} (n = {score.n}; no interval: {score.reason})"
    percent = f"{100 * score.confidence:g} % CI"
    return f"{value} ({percent} {_rounded(score.low)} to {_rounded(score.high)}, n = {score.n})"


def capital(name: str) -> str:
    """Capitalise the first letter, unless the first word has a capital already (chrF)."""
    first = name.split(" ")[0]
    return name if first != first.lower() else name[:1].upper() + name[1:]


def _rounded(value: float, sign: str = "") -> str:
    """Format with two decimals, or none for values of 100 and above."""
    return (
        f"{value:{sign}.2f}" if abs(value) < 100 else f"{'+' if sign and value > 0 else ''}{show_number(round(value))}"
    )
