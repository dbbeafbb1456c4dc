"""A figure as inline SVG: legible offline, in print, by screen readers and without colour vision.

Text stays text, so that any script is drawn by the reader's own fonts. Ids are prefixed by the figure's name
and nothing depends on time, so that equal evidence gives equal bytes.
"""

from __future__ import annotations

import io
import re
import warnings
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe & Ito's palette, told apart with any colour vision
BLUE, ORANGE, GREEN, PINK, SKY, VERMILION = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"
COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, VERMILION)
INK, FAINT = "#1f2933", "#8a94a0"

STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.parse_math": False,  # a label "$5" is no formula
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e8ec",
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "figure.facecolor": "white",
}


def inline_svg(title: str, name: str, draw: Any, width: float, height: float) -> str:
    """Draw on a fresh figure (inches) and give its SVG, titled, with ids that begin with the name."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context(STYLE | {"svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the browser has the glyph
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        _laid_out(figure)
        file = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", metadata=nothing)
    return _inline(file.getvalue(), title, name)


def _laid_out(figure: Figure) -> None:
    """Place the parts of a figure for good: left to savefig, all of it is drawn once more to find their places."""
    engine, dots = figure.get_layout_engine(), figure.dpi
    if engine is not None and figure.axes:
        figure.dpi = 72  # an SVG's, where text is measured
        engine.execute(figure)
        figure.dpi = dots
    figure.set_layout_engine(None)


def _inline(svg: str, title: str, name: str) -> str:
    """Make a stand-alone SVG file fit into a page beside others."""
    body = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    body = re.sub(r"<[^>]+>", lambda tag: _own_ids(tag[0], name), body)  # tags only: text is the reader's
    head, rest = body.split(">", 1)
    size = re.search(r'viewBox="[^"]*"', head)
    box = size[0] if size else ""
    widest = float(box.split()[2]) * 4 / 3 if box else 800.0  # points to pixels
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {box} '
        f'role="img" aria-labelledby="{name}-title" '
        f'style="display:block;width:100%;max-width:{widest:.0f}px;height:auto">'
        f'<title id="{name}-title">{escape(title)}</title>{rest}'
    )


def _own_ids(tag: str, name: str) -> str:
    tag = re.sub(r'(\s)id="', rf'\1id="{name}-', tag)
    return tag.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
