"""Figures of findings: ROC, and how often a finding is there as its probability says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from tunebook.families.image_classification.metrics.operating import OperatingPoint
from tunebook.families.image_classification.metrics.reliability import finding_reliability
from tunebook.report.figures import short
from tunebook.report.finding_curves import drawn, panel
from tunebook.report.svg import COLOURS, FAINT, INK
from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.ranking import roc_points

MARKERS = ("o", "s", "^", "D", "v", "P")
WHISKERS_UP_TO = 3
"""Most findings whose intervals are distinguishable in one panel."""


def roc_figure(predictions: FindingPredictions, points: Sequence[OperatingPoint] = ()) -> str:
    """Draw the ROC curve of each finding as inline SVG, with its operating points.

    A rule that leaves rows without an answer has two marks: filled where it rules in, hollow where it rules out.
    A finding without rows of both classes has no curve; the figure says so.
    """
    rules = list(dict.fromkeys(point.name for point in points))

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=FAINT, linestyle="--", linewidth=1, label="chance")
        for i, style in drawn(predictions):
            target, scores = predictions.target[:, i], predictions.probabilities[:, i]
            curve = roc_points(target, scores)
            axes.plot(curve.x, curve.y, **style)
            for point in points:
                if point.finding == predictions.findings[i]:
                    _mark(axes, predictions, i, point, MARKERS[rules.index(point.name) % len(MARKERS)])
        for number, name in enumerate(rules):
            axes.plot([], [], MARKERS[number % len(MARKERS)], color=INK, markersize=6, label=short(name))
        if any(point.low < point.high for point in points):
            axes.plot([], [], "o", color=INK, markerfacecolor="white", markersize=6, label="hollow: rules out below")
        axes.set(xlabel="1 - specificity", ylabel="sensitivity")

    return panel("ROC curves", "roc", predictions, draw)


def _mark(axes: Axes, predictions: FindingPredictions, column: int, point: OperatingPoint, marker: str) -> None:
    present, scores = predictions.target[:, column] == 1, predictions.probabilities[:, column]
    colour = COLOURS[column % len(COLOURS)]
    for threshold in dict.fromkeys((point.low, point.high)):
        positive = scores >= threshold
        face = colour if threshold == point.high else "white"
        place = [positive[~present].mean()], [positive[present].mean()]
        axes.plot(*place, marker, color=colour, markerfacecolor=face, markeredgecolor=INK, markersize=7, zorder=5)


def reliability_figure(predictions: FindingPredictions) -> str:
    """Draw how often each finding is there against its probability as inline SVG, in ten bins.

    Intervals are drawn of up to three findings: more could not be distinguished.
    """
    few = len(predictions.findings) <= WHISKERS_UP_TO

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=FAINT, linestyle="--", linewidth=1, label="perfect calibration")
        for i, style in drawn(predictions, both_classes=False):
            bins = [row for row in finding_reliability(predictions, predictions.findings[i]) if row.n]
            places, shares = [row.probability for row in bins], [row.share for row in bins]
            axes.plot(places, shares, marker=MARKERS[i % len(MARKERS)], markersize=5, **style)
            if few:
                ends = np.array([(row.share - row.low, row.high - row.share) for row in bins]).T
                axes.errorbar(places, shares, yerr=np.maximum(ends, 0), color=style["color"], fmt="none", alpha=0.5)
        axes.set(xlabel="mean probability", ylabel="share of rows with the finding")

    return panel("Reliability of the probabilities", "finding-reliability", predictions, draw, both_classes=False)
