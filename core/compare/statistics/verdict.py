"""The conclusions of a comparison, in sentences that can be quoted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunebook.compare.statistics.amounts import show_time
from tunebook.compare.statistics.comparison import Comparison, Pair, costs_less
from tunebook.compare.statistics.results import RungResult
from tunebook.report.report import show_hint, show_name, show_number
from tunebook.report.verdicts import capital
from tunebook.statistics.intervals import Score
from tunebook.statistics.quantiles import student


def ladder_verdict(rungs: Sequence[RungResult], comparison: Comparison, counted: str = "test rows") -> list[str]:
    """Say which rung to ship, which differences are significant, and how much the seed matters.

    Args:
        rungs: All rungs of the ladder.
        comparison: Their `compare_rungs`.
        counted: The unit of n: test rows, or answers to them.
    """
    titles = {rung.name: rung.title for rung in rungs}
    found = {rung.name: rung for rung in rungs}
    sentences = _ship(found, comparison, counted)
    sentences += _shown(found, comparison)
    sentences += _as_good(found, comparison, counted)
    sentences += _seeds(rungs, titles, comparison)
    sentences += _family(comparison, len(rungs))
    sentences += [f"{titles[name]} has no defined score: {found[name].score.reason}." for name in comparison.left_out]
    return [capital(sentence) for sentence in sentences]


def _ship(found: dict[str, RungResult], comparison: Comparison, counted: str) -> list[str]:
    ship, best = found[comparison.recommended], found[comparison.best]
    metric = show_name(ship.score.name) + show_hint(ship.score)
    summary = f"{metric} {_scored(ship.score)}, {show_time(ship.cost.seconds)} a run."
    if len(found) - len(comparison.left_out) == 1:
        return [f"{ship.title}: {summary}", "there is no other rung to compare it with."]
    start = f"ship {ship.title}: {summary}"
    doubt = [_DOUBT] if ship.name == "majority" else []
    if ship.unfit:
        start = f"do not ship {ship.title} yet, although it is the first by its scores: {summary}"
        doubt = [f"{ship.unfit}. Tune it more gently (a lower optim.lr, fewer epochs, adapt=lora), and compare again."]
    if not any(pair.shown for pair in comparison.pairs):
        which = "the two rungs" if len(comparison.pairs) == 1 else "any two rungs"
        return [
            f"no significant difference between {which} on these {best.score.n} {counted}, so they do not decide "
            f"which to ship. Of the cheapest rungs, {ship.title} scores best: {summary}",
            *(doubt if ship.unfit else []),
        ]
    if ship is not best:
        pair = comparison.between(ship.name, best.name)
        return [
            start,
            f"{best.title} scores best ({_scored(best.score)}, {show_time(best.cost.seconds)} a run), but {ship.title} "
            f"costs less and is not significantly worse: the difference is {_interval(pair)}. This does not mean that "
            f"they are equal: {_undetected(pair)}.",
            *doubt,
        ]
    cheaper = [rung for rung in found.values() if rung.score.defined and costs_less(rung, best)]
    why = "every cheaper rung is significantly worse" if cheaper else "no other rung is substantially cheaper"
    return [f"{start} It scores best, and {why}.", *doubt]


_DOUBT = (
    "this is the trivial baseline. If nothing beats it, the models are undertrained, or the metric does not measure "
    "what matters: look at the predictions before you ship it."
)


def _shown(found: dict[str, RungResult], comparison: Comparison) -> list[str]:
    """Which rungs the recommended one is significantly better than."""
    ship = comparison.recommended
    worse = [pair for pair in comparison.pairs if pair.shown and pair.first == ship]
    if not worse:
        return []
    names = "; ".join(f"{found[pair.second].title} ({_interval(pair)})" for pair in worse)
    return [f"{found[ship].title} is significantly better than {names}."]


def _as_good(found: dict[str, RungResult], comparison: Comparison, counted: str) -> list[str]:
    """Which rungs do not differ significantly from the recommended one, and how many other pairs do not."""
    ship, best = comparison.recommended, comparison.best
    unshown = [pair for pair in comparison.pairs if not pair.shown]
    alike = len(unshown) == len(comparison.pairs)
    near = [pair for pair in unshown if ship in (pair.first, pair.second)]
    if not alike and ship != best:  # that pair has a sentence of its own
        near = [pair for pair in near if best not in (pair.first, pair.second)]
    sentences = []
    if near:
        names = "; ".join(
            _relative(pair, found[pair.second if pair.first == ship else pair.first], ship) for pair in near
        )
        rows = f"not significantly different from {found[ship].title} on these {found[ship].score.n} {counted}"
        sentences.append(f"{'relative to it' if alike else rows}: {names}. {capital(_all_undetected(near))}.")
    others = sum(ship not in (pair.first, pair.second) for pair in unshown)
    if others and not alike:
        pairs = "1 other pair of rungs does" if others == 1 else f"{others} other pairs of rungs do"
        sentences.append(f"{pairs} not differ significantly.")
    return sentences


def _relative(pair: Pair, other: RungResult, ship: str) -> str:
    """A rung's difference to the recommended one, and its time."""
    more = 0.0 + (pair.difference.value if pair.second == ship else -pair.difference.value)  # no -0
    return f"{other.title} ({_small(more, '+')}, {show_time(other.cost.seconds)} a run)"


def _all_undetected(pairs: Sequence[Pair]) -> str:
    """The smallest detectable difference, over several pairs."""
    known = [pair.smallest for pair in pairs if not np.isnan(pair.smallest)]
    if not known:
        return _undetected(pairs[0])
    least, most = _small(min(known)), _small(max(known))
    sizes = least if least == most else f"{least} to {most}"
    return f"a true difference below {sizes} would often be missed"


def _seeds(rungs: Sequence[RungResult], titles: dict[str, str], comparison: Comparison) -> list[str]:
    moved = [
        f"{rung.title} {_small(float(np.std(rung.by_seed, ddof=1)))} ({_small(min(rung.by_seed))} to "
        f"{_small(max(rung.by_seed))}, {len(rung.by_seed)} runs)"
        for rung in rungs
        if len(rung.by_seed) > 1 and rung.score.defined
    ]
    if not moved:
        return []
    runs = {rung.name: len(rung.by_seed) for rung in rungs}
    sentences = [f"standard deviation over seeds or draws: {'; '.join(moved)}."]
    turned = [
        f"{titles[pair.first]} over {titles[pair.second]}"
        for pair in comparison.pairs
        if pair.shown and abs(pair.difference.value) < _seed_reach(pair, runs, comparison.confidence)
    ]
    if turned:
        sentences.append(f"significant for these runs, but other seeds may reverse it: {'; '.join(turned)}.")
    outside = [r.title for r in rungs if min(r.by_seed) < r.score.low and max(r.by_seed) > r.score.high]
    if outside:
        sentences.append(
            f"the interval of a mean covers the sampling of test rows, not the choice of seed; single runs lie on both "
            f"sides of it: {'; '.join(outside)}."
        )
    return sentences


def _seed_reach(pair: Pair, runs: dict[str, int], confidence: float) -> float:
    """How far seeds alone may move a difference (Student's t, as two or three runs estimate their spread poorly)."""
    freedom = sum(runs[name] - 1 for name in (pair.first, pair.second))
    return student(confidence, freedom) * pair.seed_error if freedom else 0.0


def _family(comparison: Comparison, rungs: int) -> list[str]:
    count = len(comparison.pairs)
    if count < 2:
        return []
    compared = rungs - len(comparison.left_out)
    return [
        f"all {count} pairs of {compared} rungs were compared with Holm's correction: the family-wise error rate is at "
        f"most {100 * (1 - comparison.confidence):.3g} %. Intervals of differences are per pair, without correction."
    ]


def _scored(score: Score) -> str:
    if np.isnan(score.low):
        return f"{_small(score.value)} (n = {score.n}; no interval: {score.reason})"
    percent = f"{100 * score.confidence:g} % CI"
    return f"{_small(score.value)} ({percent} {_small(score.low)} to {_small(score.high)}, n = {score.n})"


def _interval(pair: Pair) -> str:
    difference = pair.difference
    value, low, high = (_small(each, "+") for each in (difference.value, difference.low, difference.high))
    return f"{value}, without an interval" if np.isnan(difference.low) else f"{value}, {low} to {high}"


def _undetected(pair: Pair) -> str:
    if np.isnan(pair.smallest):
        same = pair.difference.value == 0 and not np.isnan(pair.difference.low)
        return "both scored the same on every row" if same else "the smallest detectable difference is unknown"
    return f"a true difference below {_small(pair.smallest)} would often be missed"


def _small(value: float, sign: str = "") -> str:
    """Format with three decimals if small, none if large."""
    return ("+" if sign and value > 0 else "") + show_number(float(value))
