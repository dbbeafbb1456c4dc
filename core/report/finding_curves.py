"""Curves of findings, or of labels of which a row may have several: a square from 0 to 1, with a line for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tunebook.report.figures import short
from tunebook.report.svg import COLOURS, INK, inline_svg
from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.ranking import pr_points
from tunebook.statistics.ranking_scores import absent_class

LINES = ("-", "--", ":", "-.")
EDGE = 0.02


def pr_figure(
    predictions: FindingPredictions,
    title: str = "Precision and sensitivity",
    axes_are: tuple[str, str] = ("sensitivity (recall)", "precision (PPV)"),
) -> str:
    """Draw precision over sensitivity of each finding as inline SVG; its chance is the share of rows that have it."""

    def draw(axes: Axes) -> None:
        for i, style in drawn(predictions):
            target = predictions.target[:, i]
            curve = pr_points(target, predictions.probabilities[:, i])
            axes.step(np.append(0.0, curve.x), np.append(curve.y[:1], curve.y), where="pre", **style)
            axes.axhline(float((target == 1).mean()), color=style["color"], linestyle=(0, (1, 3)), linewidth=1)
        axes.plot([], [], color=INK, linestyle=(0, (1, 3)), linewidth=1, label="chance, by colour")
        axes.set(xlabel=axes_are[0], ylabel=axes_are[1])

    return panel(title, "precision-recall", predictions, draw)


def drawn(predictions: FindingPredictions, both_classes: bool = True) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give the column and line style of each finding that has a curve."""
    for i, finding in enumerate(predictions.findings):
        if len(predictions) and not (both_classes and absent_class(predictions.target[:, i], finding)):
            line = LINES[i // len(COLOURS) % len(LINES)]
            yield i, {"color": COLOURS[i % len(COLOURS)], "linestyle": line, "label": short(finding)}


def panel(
    title: str, name: str, predictions: FindingPredictions, draw: Callable[[Axes], None], both_classes: bool = True
) -> str:
    """Draw on a square from 0 to 1, with the legend next to it and findings without a curve named."""
    with_curve = {i for i, _ in drawn(predictions, both_classes)}
    left_out = [finding for i, finding in enumerate(predictions.findings) if i not in with_curve]
    missing = [f"no curve: {short(finding)}" for finding in left_out]

    def square(figure: Figure) -> None:
        axes = figure.add_subplot(aspect="equal")
        draw(axes)
        for line in missing:
            axes.plot([], [], " ", label=line)
        axes.set(title=title, xlim=(-EDGE, 1 + EDGE), ylim=(-EDGE, 1 + EDGE))
        figure.legend(loc="outside right upper")

    return inline_svg(title, name, square, 8.6, max(4.4, 0.9 + 0.24 * (len(predictions.findings) + 6)))
