"""The way of a few-shot rung that cross-validation on its own rows chose, in each draw; test rows have no say in it.

Few held-out rows cannot tell ways apart: what they prefer by less than a standard error is a coin toss, and the way
that was best over many draws of other rows is chosen instead (docs/benchmarks.md, "Few labelled rows").
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tunebook.compare.run_state import RungRun
from tunebook.compare.statistics.results import RungResult
from tunebook.compare.step import without_model
from tunebook.config.compare import Way as WayName

FEWEST = 64
"""Rows of a draw that can be chosen by: with fewer the standard error of a held-out score is over six points."""


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

    def called(self, rung: str) -> str:
        """Its name within the few-shot rung."""
        return without_model(self.result.name).removeprefix(f"{without_model(rung)}_")


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

    Pairs (``contrastive``) are chosen wherever they are within a standard error of the best, or nothing was held out.

    Args:
        ways: Finished runs of each way, from the cheapest to the dearest.
        metric: What is compared by.
        higher_is_better: Which way it is read.
    """
    ranked: dict[int, list[tuple[float, int, str, RungRun]]] = {}
    for way, runs in ways.items():
        for run in runs:
            held_out = run.held_out(metric)
            value = held_out.score
            rank = -math.inf if value is None else value if higher_is_better else -value
            ranked.setdefault(run.planned.seed, []).append((rank, held_out.rows, way, run))
    return {seed: _chosen(ranked[seed]) for seed in sorted(ranked)}


def _chosen(ranked: Sequence[tuple[float, int, str, RungRun]]) -> tuple[str, RungRun]:
    best, _, way, run = max(ranked, key=lambda each: each[0])
    for rank, rows, other, its_run in ranked:
        pairs = without_model(other).endswith(f"_{WayName.contrastive.value}")
        if pairs and (best == -math.inf or best - rank <= _standard_error(rows)):
            return other, its_run
    return way, run


def _standard_error(rows: int) -> float:
    """The largest that a proportion of so many rows can have; macro F1 is not far from one."""
    return 0.5 / math.sqrt(rows) if rows else 0.0


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
            tuple(run.held_out(metric).score for run in runs),
            names.count(way),
            float(median(run.held_out(metric).seconds for run in runs)),
        )
        for way, runs in ways.items()
    )
