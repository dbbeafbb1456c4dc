"""Pictures of a ladder: its rungs with intervals and seeds, quality against cost, and the learning curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.compare.statistics.comparison import Comparison
from tunebook.compare.statistics.label_budget import LabelBudget
from tunebook.compare.statistics.results import RungResult
from tunebook.report.figures import short
from tunebook.report.report import show_hint, show_name, show_number
from tunebook.report.svg import BLUE, FAINT, INK, ORANGE, inline_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LONGEST = 34
"""Letters of a title beside a figure."""


def ladder_figure(rungs: Sequence[RungResult], comparison: Comparison) -> str:
    """Draw each rung's score with its interval over test rows, and a ring for each seed."""
    known = [rung for rung in rungs if rung.score.defined]

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for place, rung in enumerate(known):
            colour = _colour(rung, comparison)
            score = rung.score
            axes.plot([score.low, score.high], [place, place], color=colour, linewidth=2.4, alpha=0.75)
            axes.plot([score.value], [place], _marker(rung, comparison), color=colour, markersize=8)
            if len(rung.by_seed) > 1:
                below = [place + 0.24] * len(rung.by_seed)
                axes.plot(rung.by_seed, below, "o", mfc="none", mec=colour, markersize=4.5)
            axes.annotate(
                show_number(float(score.value)),
                (score.value, place),
                (0, 7),
                textcoords="offset points",
                ha="center",
                fontsize=8.5,
            )
        axes.set_yticks(range(len(known)), [short(rung.shown, LONGEST) for rung in known])
        axes.set_ylim(len(known) - 0.5, -0.7)
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(_named(known))
        _explain(figure, rings=any(len(rung.by_seed) > 1 for rung in known))

    return inline_svg("The rungs with their intervals", "ladder", draw, 8.6, 1.5 + 0.52 * len(known))


def quality_against_cost(rungs: Sequence[RungResult], comparison: Comparison) -> str:
    """Draw each rung's score, with its interval, over the seconds of a run (logarithmic)."""
    from matplotlib.ticker import LogLocator

    known = [rung for rung in rungs if rung.score.defined]

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.set_xscale("log")
        seconds = [max(rung.cost.seconds, 0.01) for rung in known]
        for rung, x in zip(known, seconds, strict=True):
            colour, score = _colour(rung, comparison), rung.score
            axes.plot([x, x], [score.low, score.high], color=colour, linewidth=2.2, alpha=0.6)
            axes.plot([x], [score.value], _marker(rung, comparison), color=colour, markersize=8)
        axes.set_xlim(min(seconds) / 2, max(seconds) * 2 * (max(seconds) / min(seconds)) ** 0.25)  # room for labels
        axes.set(xlabel="seconds a run, training and scoring", ylabel=_named(known))
        if max(seconds) < 100 * min(seconds):  # few powers of ten, or none, lie between
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")  # not 10 to a power: no formula is drawn
        axes.tick_params("x", which="minor", length=0)
        axes.xaxis.set_minor_formatter(lambda value, _: "")
        figure.draw_without_rendering()
        for rung, x, y in zip(known, seconds, _apart(axes, known, seconds), strict=True):
            axes.annotate(
                short(rung.shown, LONGEST),
                (x, rung.score.value),
                (8, y),
                textcoords="offset points",
                va="center",
                fontsize=8.5,
                bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.6},
            )
        _explain(figure, rings=False)

    return inline_svg("Quality against cost", "quality-cost", draw, 8.6, 4.6)


def label_curve(budget: LabelBudget) -> str:
    """Draw the runs of a learning curve and, where one fits, the power law with the band of those allowed."""
    more, _, _ = budget.more_labels
    largest = budget.rows[-1]

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        if budget.grid:
            axes.fill_between(budget.grid, budget.low, budget.high, color=BLUE, alpha=0.16, linewidth=0)
            grid, curve = np.array(budget.grid), np.array(budget.curve)
            for part, style in ((grid <= largest, "-"), (grid >= largest, "--")):
                axes.plot(grid[part], curve[part], style, color=BLUE, linewidth=1.8)
            axes.axvline(largest, color=FAINT, linestyle=":", linewidth=1)
        for rows, runs in zip(budget.rows, budget.scores, strict=True):
            axes.plot([rows] * len(runs), runs, "o", mfc="none", mec=INK, markersize=5)
        if budget.grid and np.isfinite(more) and largest + more <= budget.grid[-1]:
            gain = budget.point if budget.metric.higher_is_better else -budget.point
            reached = float(np.interp(largest, budget.grid, budget.curve)) + gain
            axes.plot([largest + more], [reached], "D", color=ORANGE, markersize=7)
            axes.annotate(
                "another point",
                (largest + more, reached),
                (6, -12),
                textcoords="offset points",
                fontsize=8.5,
            )
        axes.set_xscale("log")
        ends = [*budget.rows, *([4 * largest] if budget.grid else [])]
        axes.set_xticks(ends, [show_number(rows) for rows in ends])
        axes.tick_params("x", which="minor", length=0)
        axes.xaxis.set_minor_formatter(lambda value, _: "")
        axes.set(xlabel="labelled training rows", ylabel=show_name(budget.metric.name) + show_hint(budget.metric))

    return inline_svg("Learning curve over labelled rows", "label-curve", draw, 8.6, 3.8)


def _colour(rung: RungResult, comparison: Comparison) -> str:
    if rung.name == comparison.recommended:
        return ORANGE
    return FAINT if comparison.shown_worse(rung.name, comparison.best) else BLUE


def _marker(rung: RungResult, comparison: Comparison) -> str:
    """Shapes say what colours say."""
    if rung.name == comparison.recommended:
        return "D"
    return "v" if comparison.shown_worse(rung.name, comparison.best) else "o"


def _explain(figure: Figure, rings: bool) -> None:
    from matplotlib.lines import Line2D

    def entry(marker: str, colour: str, text: str, **more: Any) -> Line2D:
        return Line2D([], [], color=colour, marker=marker, linestyle="", markersize=7, label=text, **more)

    entries = [
        entry("D", ORANGE, "recommended"),
        entry("o", BLUE, "not significantly worse than the best"),
        entry("v", FAINT, "significantly worse"),
    ]
    if rings:
        entries.append(entry("o", INK, "one seed or draw", mfc="none"))
    figure.legend(handles=entries, loc="outside upper left", ncols=len(entries), fontsize=8.5, handletextpad=0.2)


def _named(rungs: Sequence[RungResult]) -> str:
    return show_name(rungs[0].score.name) + show_hint(rungs[0].score)


def _apart(axes: Axes, rungs: Sequence[RungResult], seconds: Sequence[float]) -> list[float]:
    """How far, in points, to move each label up so that none lies on another."""
    spots = axes.transData.transform([(x, rung.score.value) for x, rung in zip(seconds, rungs, strict=True)])
    spots = spots * 72 / axes.figure.dpi
    moved = [0.0] * len(rungs)
    placed: list[tuple[float, float, float]] = []
    for i in np.argsort(spots[:, 1]):
        x, y, width = float(spots[i, 0]), float(spots[i, 1]), 5.2 * min(len(rungs[i].shown), LONGEST) + 10
        while any(abs(y - b) < 10 and x < a + w and a < x + width for a, b, w in placed):
            y += 2
        placed.append((x, y, width))
        moved[int(i)] = y - float(spots[i, 1])
    return moved
