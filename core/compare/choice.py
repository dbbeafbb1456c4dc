"""The way of a few-shot rung that cross-validation on its own rows chose, in each draw; test rows have no say in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tunebook.compare.run_state import RungRun
from tunebook.compare.statistics.results import RungResult


@dataclass(frozen=True)
class Way:
    """One way of a few-shot rung.

    Attributes:
        result: Its score and what it took, over all draws.
        held_out: The metric on held-out rows of the draw, of each draw.
        chosen: Draws in which it was chosen.
        seconds: What cross-validation took in a typical draw.
    """

    result: RungResult
    held_out: tuple[float | None, ...]
    chosen: int
    seconds: float


@dataclass(frozen=True)
class FewShot:
    """A few-shot rung whose way is chosen.

    Attributes:
        name: Of the rung.
        ways: From the cheapest to the dearest.
    """

    name: str
    ways: tuple[Way, ...]


def chosen_runs(
    ways: Mapping[str, Sequence[RungRun]], metric: str, higher_is_better: bool
) -> Mapping[int, tuple[str, RungRun]]:
    """The way and the run of each draw that has the best held-out score; of equals the cheapest.

    Args:
        ways: Finished runs of each way, from the cheapest to the dearest.
        metric: What is compared by.
        higher_is_better: Which way it is read.
    """
    found: dict[int, tuple[float, str, RungRun]] = {}
    for way, runs in ways.items():
        for run in runs:
            value, _ = run.held_out(metric)
            rank = float("-inf") if value is None else value if higher_is_better else -value
            best = found.get(run.planned.seed)
            if best is None or rank > best[0]:
                found[run.planned.seed] = rank, way, run
    return {seed: found[seed][1:] for seed in sorted(found)}


def as_ways(
    ways: Mapping[str, Sequence[RungRun]],
    results: Mapping[str, RungResult],
    chosen: Mapping[int, tuple[str, RungRun]],
    metric: str,
) -> tuple[Way, ...]:
    """What is shown of each way."""
    names = [way for way, _ in chosen.values()]
    return tuple(
        Way(
            results[way],
            tuple(run.held_out(metric)[0] for run in runs),
            names.count(way),
            float(median(run.held_out(metric)[1] for run in runs)),
        )
        for way, runs in ways.items()
    )
