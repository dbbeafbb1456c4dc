"""What a ladder shows, in sentences that can be quoted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunebook.evaluation.intervals import Score
from tunebook.evaluation.ladder.comparison import Comparison, Pair
from tunebook.evaluation.ladder.results import RungResult
from tunebook.evaluation.report import show_hint, show_name, show_number
from tunebook.evaluation.verdicts import capital

SEED_ERRORS = 2.0
"""A difference of fewer seed errors than this may turn with other seeds."""


def ladder_verdict(rungs: Sequence[RungResult], comparison: Comparison) -> list[str]:
    """Say which rung to ship, what the test rows cannot show, and what a seed moves.

    Args:
        rungs: All of the ladder.
        comparison: `compare_rungs` of them.
    """
    titles = {rung.name: rung.title for rung in rungs}
    found = {rung.name: rung for rung in rungs}
    sentences = _ship(found, comparison)
    sentences += _open(titles, comparison, found[comparison.best].score)
    sentences += _dearer(found, comparison)
    sentences += _seeds(rungs, titles, comparison)
    sentences += _family(comparison, len(rungs))
    sentences += [f"{titles[name]} has no defined score: {found[name].score.reason}." for name in comparison.left_out]
    return [capital(sentence) for sentence in sentences]


def _ship(found: dict[str, RungResult], comparison: Comparison) -> list[str]:
    ship, best = found[comparison.recommended], found[comparison.best]
    metric = show_name(ship.score.name) + show_hint(ship.score)
    start = f"ship {ship.title}: {metric} {_scored(ship.score)}, {_seconds(ship.cost.seconds)} a run."
    if len(found) - len(comparison.left_out) == 1:
        return [start, "nothing else was there to compare it with."]
    if not any(pair.shown for pair in comparison.pairs):
        pairs = "the two rungs are" if len(comparison.pairs) == 1 else "the rungs are"
        start += f" It is the cheapest, and {pairs} not distinguishable on these {best.score.n} test rows."
        if ship is best:
            return [start]
    elif ship is best:
        cheaper = [r for r in found.values() if r.cost.seconds < best.cost.seconds and r.score.defined]
        why = "every cheaper rung is shown to be worse" if cheaper else "no rung is cheaper"
        return [f"{start} It scores best, and {why}."]
    pair = comparison.between(ship.name, best.name)
    return [
        start,
        f"{best.title} scores best ({_scored(best.score)}, {_seconds(best.cost.seconds)} a run), but {ship.title} is "
        f"not shown to be worse: the difference is {_interval(pair)}. That does not make them equal: "
        f"{_undetected(pair)}.",
    ]


def _open(titles: dict[str, str], comparison: Comparison, score: Score) -> list[str]:
    """The differences that the rows cannot show."""
    best, ship = comparison.best, comparison.recommended
    unshown = [pair for pair in comparison.pairs if not pair.shown and {pair.first, pair.second} != {best, ship}]
    if not unshown:
        return []
    near = [pair for pair in unshown if {pair.first, pair.second} & {best, ship}]
    told = "; ".join(f"{titles[p.first]} and {titles[p.second]} ({_interval(p)}; {_undetected(p)})" for p in near)
    others = len(unshown) - len(near)
    start = f"not distinguishable on these {score.n} test rows: "
    rest = f"{others} more {'pair' if others == 1 else 'pairs'} of other rungs" if others else ""
    return [start + "; ".join(part for part in (told, rest) if part) + "."]


def _dearer(found: dict[str, RungResult], comparison: Comparison) -> list[str]:
    """Rungs that take much longer than the recommended one and are not shown to be better."""
    ship = found[comparison.recommended]
    dear = [
        f"{rung.title} ({_seconds(rung.cost.seconds)} a run)"
        for rung in found.values()
        if rung.score.defined
        and rung.name not in (ship.name, comparison.best)
        and rung.cost.seconds > ship.cost.seconds
        and not comparison.between(ship.name, rung.name).shown
    ]
    return [f"not shown to be better than {ship.title}, and dearer: {', '.join(dear)}."] if dear else []


def _seeds(rungs: Sequence[RungResult], titles: dict[str, str], comparison: Comparison) -> list[str]:
    moved = [
        f"{rung.title} by {_small(float(np.std(rung.by_seed, ddof=1)))} ({_small(min(rung.by_seed))} to "
        f"{_small(max(rung.by_seed))} over {len(rung.by_seed)})"
        for rung in rungs
        if len(rung.by_seed) > 1 and rung.score.defined
    ]
    if not moved:
        return []
    sentences = [f"a seed or draw moves (standard deviation) {'; '.join(moved)}."]
    turned = [
        f"{titles[pair.first]} over {titles[pair.second]}"
        for pair in comparison.pairs
        if pair.shown and abs(pair.difference.value) < SEED_ERRORS * pair.seed_error
    ]
    if turned:
        sentences.append(f"shown for these runs, but other seeds may turn it: {'; '.join(turned)}.")
    return sentences


def _family(comparison: Comparison, rungs: int) -> list[str]:
    count = len(comparison.pairs)
    if count < 2:
        return []
    compared = rungs - len(comparison.left_out)
    return [
        f"all {count} pairs of {compared} rungs were compared, with Holm's correction: the chance that any difference "
        f"called one is none is at most {100 * (1 - comparison.confidence):.3g} %."
    ]


def _scored(score: Score) -> str:
    if np.isnan(score.low):
        return f"{_small(score.value)} (n = {score.n}; no interval: {score.reason})"
    percent = f"{100 * score.confidence:g} % interval"
    return f"{_small(score.value)} ({percent} {_small(score.low)} to {_small(score.high)}, n = {score.n})"


def _interval(pair: Pair) -> str:
    difference = pair.difference
    value, low, high = (_small(each, "+") for each in (difference.value, difference.low, difference.high))
    return f"{value}, without an interval" if np.isnan(difference.low) else f"{value}, {low} to {high}"


def _undetected(pair: Pair) -> str:
    if np.isnan(pair.smallest):
        same = pair.difference.value == 0 and not np.isnan(pair.difference.low)
        return "both got the same on every row" if same else "how large a difference would show is not known"
    return f"a true difference below {_small(pair.smallest)} would often go unseen"


def _small(value: float, sign: str = "") -> str:
    """Three decimals of what is small, none of what is large."""
    return ("+" if sign and value > 0 else "") + show_number(float(value))


def _seconds(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
