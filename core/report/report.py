"""A report is a title, a verdict and a row of tables, figures, texts, galleries and dialogues, on one page.

What the page says is put together elsewhere, for classification in `classification.py`.
"""

from __future__ import annotations

import math
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunebook.statistics.intervals import Score

NUMBER = re.compile(r"[-+]?[\d\s,.]*\d\s?%?")
NOTHING = "\N{EN DASH}"
BEST_AT = {"length_ratio": 1.0}
"""Metrics of which neither more nor less is better."""
OF_HUNDRED = ("bleu", "chrf")
_NAMES = {
    "bleu": "BLEU",
    "chrf": "chrF",
    "rouge_1": "ROUGE-1",
    "rouge_2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
    "hamming_loss": "Hamming loss",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "spearman": "Spearman's correlation",
    "brier_score": "Brier score",
    "negative_log_likelihood": "negative log-likelihood",
    "distinct_1": "distinct-1",
    "distinct_2": "distinct-2",
}

Cell = str | int | float | Score | None


@dataclass(frozen=True)
class Table:
    """Rows of cells: text, numbers, or scores (shown with their interval)."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""

    def numeric(self, column: int) -> bool:
        """Whether a column holds numbers only, and so is aligned to the right."""
        cells = [row[column] for row in self.rows]
        return bool(cells) and all(_is_number(cell) for cell in cells)


@dataclass(frozen=True)
class Figure:
    """A picture as inline SVG, trusted as it is: make it with `tunebook.report.figures`."""

    title: str
    svg: str
    note: str = ""


@dataclass(frozen=True)
class Text:
    """Paragraphs of prose."""

    title: str
    paragraphs: Sequence[str]


@dataclass(frozen=True)
class Picture:
    """A PNG file in a gallery, with the words under it and those in place of it."""

    png: bytes
    caption: str
    alt: str
    """What the picture shows, for those who do not see it."""

    @property
    def uri(self) -> str:
        """The file itself as an address, so that the page stays one file."""
        return f"data:image/png;base64,{b64encode(self.png).decode('ascii')}"


@dataclass(frozen=True)
class Gallery:
    """Pictures side by side, as many in a line as the page has room for."""

    title: str
    pictures: Sequence[Picture]
    note: str = ""


@dataclass(frozen=True)
class Answer:
    """One answer beside others to the same question."""

    who: str
    """"reference", "tuned" or the name of another model."""
    text: str
    note: str = ""


@dataclass(frozen=True)
class Dialogue:
    """What was said, and below it what each side answered."""

    heading: str
    turns: Sequence[tuple[str, str]]
    """Speaker and text; "user" stands at the right, "assistant" at the left, any other small between them."""
    answers: Sequence[Answer]
    note: str = ""


@dataclass(frozen=True)
class Dialogues:
    """Dialogues one under the other."""

    title: str
    dialogues: Sequence[Dialogue]
    note: str = ""


Section = Table | Figure | Text | Gallery | Dialogues


@dataclass(frozen=True)
class Report:
    """All that a page shows, in reading order."""

    title: str
    subtitle: str
    verdict: Sequence[str]
    """What was found, in words: the first sentence is set large."""
    sections: Sequence[Section] = field(default_factory=list)
    details: Sequence[Section] = ()
    """What a reader opens who wants to know more, each under its title."""


def render(report: Report) -> str:
    """Make one self-contained HTML page: no script, no request to anywhere, everything escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = show_number
    environment.tests["score"] = lambda cell: isinstance(cell, Score)
    template = Path(__file__).with_name("report.html.jinja").read_text(encoding="utf-8")
    environment.filters["kind"] = lambda section: type(section).__name__.lower()
    return environment.from_string(template).render(report=report)


def show_number(value: Any) -> str:
    """Write a number as a person reads it: grouped thousands, a dash for nothing.

    Numbers that are not whole have three decimals, and from 10 on four digits.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NOTHING
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    decimals = 0 if isinstance(value, int) else sum(abs(value) < limit for limit in (10, 100, 1000))
    return f"{value:,.{decimals}f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def show_p(value: float) -> str:
    """Write a p-value; none is zero."""
    return "<\N{NO-BREAK SPACE}0.001" if value < 0.001 else show_number(value)


def show_interval(low: float, high: float, show: Callable[[float], str] = show_number) -> str:
    """Write an interval, or that there is none; ``show`` writes its ends."""
    return "no interval" if math.isnan(low) or math.isnan(high) else f"{show(low)} to {show(high)}"


def show_name(name: str) -> str:
    """Write a metric's name as a person reads it."""
    return _NAMES.get(name) or (
        name.replace("_", " ").replace("f1", "F1").replace("auroc", "AUROC").replace("ppv", "PPV").replace("npv", "NPV")
    )


def show_hint(score: Score) -> str:
    """Say in brackets how a metric is read, unless from 0 to 1 and the higher the better."""
    if score.name in BEST_AT:
        return f" (best at {BEST_AT[score.name]:g})"
    if score.name in OF_HUNDRED:
        return " (0 to 100)"
    return "" if score.higher_is_better else " (lower is better)"


def _is_number(cell: Any) -> bool:
    if cell is None or isinstance(cell, (int, float, Score)):
        return True
    return cell == NOTHING or NUMBER.fullmatch(cell) is not None
