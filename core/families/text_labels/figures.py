"""F1 of each label, as a picture."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from tunebook.report.figures import short
from tunebook.report.report import show_number
from tunebook.report.svg import BLUE, inline_svg
from tunebook.statistics.label_scores import LabelScores


def f1_figure(by_label: Sequence[LabelScores]) -> str:
    """Draw F1 of each label as a dot with its interval, as inline SVG; the highest first."""
    shown = sorted((row for row in by_label if row.f1.defined), key=lambda row: -row.f1.value)
    missing = [row for row in by_label if not row.f1.defined]

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for place, row in enumerate(shown):
            axes.plot([row.f1.low, row.f1.high], [place, place], color=BLUE, linewidth=2.2, alpha=0.75)
            axes.plot([row.f1.value], [place], "o", color=BLUE, markersize=7)
            said = show_number(float(row.f1.value))
            axes.annotate(said, (row.f1.value, place), (0, 6), textcoords="offset points", ha="center", fontsize=8)
        names = [short(row.label) for row in (*shown, *missing)]
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="F1", xlim=(-0.03, 1.03), ylim=(len(names) - 0.5, -0.8))
        axes.grid(visible=False, axis="y")

    return inline_svg("F1 of each label", "label-f1", draw, 8.6, 1.0 + 0.42 * len(by_label))
