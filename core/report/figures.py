"""Figures of a report: learning curves, the confusion matrix, confidence, scores with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tunebook.report.report import BEST_AT, show_hint, show_name, show_number
from tunebook.report.svg import BLUE, COLOURS, FAINT, INK, VERMILION, inline_svg
from tunebook.statistics.calibration import reliability
from tunebook.statistics.intervals import Score
from tunebook.statistics.predictions import Predictions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LABELS, LABELS_SHOWN = 30, 20
MOST_IN_A_COLUMN = 6
FAR = 20
"""Scores of so many times each other are drawn on a logarithmic axis, if they have no upper end."""


def learning_curve(history: Sequence[Mapping[str, Any]]) -> str:
    """Draw losses (left) and validation metrics (right) over optimizer steps.

    Args:
        history: Rows with `step` and any of `train_loss`, `validation_loss` and metrics; a key whose name
            ends in "loss" is a loss. What is missing or not finite in a row is left out.
    """
    names = [key for key in dict.fromkeys(key for row in history for key in row) if key not in ("step", "epoch")]
    panels = {
        "Loss": [name for name in names if name.endswith("loss")],
        "Validation metrics": [name for name in names if not name.endswith("loss")],
    }
    panels = {title: series for title, series in panels.items() if series}

    def draw(figure: Figure) -> None:
        for i, (title, series) in enumerate(panels.items()):
            axes = figure.add_subplot(1, len(panels), i + 1)
            axes.set(title=title, xlabel="optimizer step")
            for number, name in enumerate(series):
                _curve(axes, history, name, number)
            if axes.lines:
                axes.legend()

    return inline_svg("Learning curve", "learning-curve", draw, 8.6, 3.2)


def _curve(axes: Axes, history: Sequence[Mapping[str, Any]], name: str, number: int) -> None:
    points = [(row["step"], row[name]) for row in history if _finite(row.get(name))]
    if points:
        axes.plot(
            *zip(*points, strict=True),
            color=COLOURS[number % len(COLOURS)],
            linestyle=("-", "--", ":", "-.")[number // len(COLOURS) % 4],
            label=show_name(name.replace("/", " ")),
            marker="o" if len(points) <= 30 else "",
            markersize=3.5,
        )


def _finite(value: Any) -> bool:
    return value is not None and math.isfinite(value)


def confusion_matrix(matrix: NDArray[np.int64], labels: Sequence[str], name: str = "confusion-matrix") -> str:
    """Draw counts `[labels, labels]` (truth down, answers across), coloured by their share of the row.

    Each of several on a page has a `name` of its own, which begins its ids.

    Of more than 30 labels only the 20 that take part in most mistakes are drawn.
    """
    total = len(labels)
    shown = most_confused(matrix, LABELS_SHOWN) if total > MOST_LABELS else np.arange(total)
    rows = matrix.sum(1, keepdims=True)
    shares = np.divide(matrix, rows, out=np.zeros(matrix.shape), where=rows > 0)[np.ix_(shown, shown)]
    counts = matrix[np.ix_(shown, shown)]
    names = [short(labels[i]) for i in shown]
    side = min(8.6, 1.9 + 0.95 * len(names)) if len(names) <= 8 else 8.6
    title = "Confusion matrix" if total == len(shown) else f"The {len(shown)} most confused of {total} labels"

    def draw(figure: Figure) -> None:
        from matplotlib.colors import LinearSegmentedColormap

        axes = figure.add_subplot(aspect="equal")
        white_to_blue = LinearSegmentedColormap.from_list("shares", ["#f4f7fa", BLUE, "#003a5c"])
        axes.pcolormesh(shares, cmap=white_to_blue, vmin=0, vmax=1, edgecolors="white", linewidth=1.5)
        axes.invert_yaxis()
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        middle = np.arange(len(names)) + 0.5
        axes.set_yticks(middle, names)
        axes.set_xticks(middle, names)
        if max(map(len, names)) > 4 + 20 / len(names):
            axes.tick_params("x", rotation=45)
            for text in axes.get_xticklabels():
                text.set(ha="right", rotation_mode="anchor")
        axes.set(xlabel="predicted", ylabel="truth")
        for i, j in np.ndindex(counts.shape):
            if counts[i, j]:
                _cell(axes, i, j, int(counts[i, j]), float(shares[i, j]), len(names))

    return inline_svg(title, name, draw, side, side * 0.9)


def most_confused(matrix: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Give the indices, in order, of the labels with most rows off the diagonal (missed or falsely given)."""
    wrong = matrix.sum(0) + matrix.sum(1) - 2 * np.diagonal(matrix)
    return np.sort(np.argsort(-wrong, kind="stable")[:count])


def _cell(axes: Axes, row: int, column: int, count: int, share: float, size: int) -> None:
    text = f"{count}\n{share:.0%}" if size <= 12 else str(count)
    style: dict[str, Any] = {"ha": "center", "va": "center", "color": "white" if share > 0.4 else INK}
    axes.text(column + 0.5, row + 0.5, text, fontsize=10 if size <= 8 else 7, **style)


def confidence(predictions: Predictions, earlier: Predictions | None = None) -> str:
    """Draw how sure the answers were, right and wrong, and whether that confidence is deserved.

    Args:
        predictions: The answers.
        earlier: The same rows before a temperature, drawn faintly; None where there is none.
    """
    top_probability, right = predictions.confidence(), predictions.predicted == predictions.target
    table = [row for row in reliability(predictions, bins=10) if row.n]

    def draw(figure: Figure) -> None:
        left, diagram = figure.subplots(1, 2)
        left.hist(
            [top_probability[right], top_probability[~right]],
            bins=list(np.linspace(0, 1, 21)),
            stacked=True,
            color=[BLUE, VERMILION],
            label=["right", "wrong"],
        )
        left.set(title="How sure", xlabel="probability of the answer", ylabel="rows", xlim=(0, 1))
        left.legend(loc="upper left")
        diagram.plot([0, 1], [0, 1], color=FAINT, linestyle="--", linewidth=1, label="perfect calibration")
        if earlier is not None:
            before = [row for row in reliability(earlier, bins=10) if row.n]
            places = [row.confidence for row in before], [row.accuracy for row in before]
            diagram.plot(*places, "o", color=FAINT, markersize=4, label="before the temperature")
        middle, share = [row.confidence for row in table], [row.accuracy for row in table]
        whiskers = [
            [row.accuracy - row.low for row in table],
            [row.high - row.accuracy for row in table],
        ]
        diagram.errorbar(middle, share, yerr=np.maximum(whiskers, 0), color=BLUE, fmt="o", markersize=5)
        diagram.set(title="How right", xlabel="mean probability", ylabel="share right", xlim=(0, 1), ylim=(0, 1.03))
        diagram.legend(loc="best")

    return inline_svg("Confidence", "confidence", draw, 8.6, 3.4)


def scores_with_intervals(models: Mapping[str, Sequence[Score]]) -> str:
    """Draw the scores of each model as dots with interval whiskers, one panel a metric; many in two columns.

    Args:
        models: Model name -> its scores; the first is the tuned one. What is undefined or infinite is left out.
    """
    metrics = list(dict.fromkeys(s.name for scores in models.values() for s in scores if _finite(s.value)))
    columns = 1 if len(metrics) <= MOST_IN_A_COLUMN else 2
    lines = max(math.ceil(len(metrics) / columns), 1)
    height = 0.75 + lines * (0.55 + 0.3 * len(models))

    def draw(figure: Figure) -> None:
        figure.set_layout_engine("constrained", h_pad=0.08, w_pad=0.1)
        panels = figure.subplots(lines, columns, squeeze=False).ravel()
        for axes, metric in zip(panels, metrics, strict=False):
            _dots(axes, metric, models)
        for axes in panels[max(len(metrics), 1) :]:
            axes.set_visible(False)

    return inline_svg("Scores and their intervals", "scores", draw, 8.6, height)


def _dots(axes: Axes, metric: str, models: Mapping[str, Sequence[Score]]) -> None:
    found = {name: next((s for s in scores if s.name == metric), None) for name, scores in models.items()}
    shown = [(place, score) for place, score in enumerate(found.values()) if score and _finite(score.value)]
    for place, score in shown:
        colour = BLUE if place == 0 else FAINT
        axes.plot([score.low, score.high], [place, place], color=colour, linewidth=2.2, alpha=0.75)
        axes.plot([score.value], [place], "o", color=colour, markersize=7)
        axes.annotate(
            show_number(float(score.value)),
            (score.value, place),
            (0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    axes.set_title(show_name(metric) + show_hint(shown[0][1]))
    axes.set_yticks(range(len(found)), [short(name) for name in found])
    axes.set_ylim(len(found) - 0.5, -0.8)
    _reach(axes, [score for _, score in shown])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")


def _reach(axes: Axes, scores: Sequence[Score]) -> None:
    """Set the range of a panel: from 0, to 1 where that is the most; of far apart ones without a most, logarithmic."""
    ends = [end for score in scores for end in (score.low, score.value, score.high) if _finite(end)]
    best = BEST_AT.get(scores[0].name)
    if best is not None:
        axes.axvline(best, color=FAINT, linestyle="--", linewidth=1)
        ends.append(best)
    higher, least, most = scores[0].higher_is_better, min(ends), max(ends)
    if higher or most <= 1 or not 0 < FAR * least <= most:
        end = 1.03 if higher and best is None and most <= 1 else most * 1.08 + 0.03
        start = min(0.0, least)
        axes.set_xlim(start - 0.06 * (end - start), end)  # room for the label of a 0
        return
    axes.set(xscale="log", xlim=(least / 1.5, most * 1.5))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")  # not 10 to a power: no formula is drawn
    axes.xaxis.set_minor_formatter(lambda value, _: "")


def short(text: str, length: int = 24) -> str:
    """Cut a name that would not fit beside a figure."""
    return text if len(text) <= length else text[: length - 1] + "…"
