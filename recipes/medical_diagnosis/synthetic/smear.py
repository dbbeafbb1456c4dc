"""Blood smears with parasites in red cells and with blasts among the white cells.

A slide is a square of -1.7 .. 1.7; each picture is a window of it, so that pictures of a patient share cells.
Stains add up as densities: light is lost by equal factors, and cells may lie on each other in any order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .cells import Canvas, Leukocyte, draw_leukocyte, draw_parasite, draw_platelet, draw_red_cell
from .fields import Pose, mark
from .patients import Patient, Stream
from .picture import Finding, Order

_EASY_TO_HARD = {"parasite": (1.0, 0.027), "blast": (0.6, 0.02)}
"""Nuclear stain that each finding adds, at difficulty 0 and 1; a blast over an ordinary white cell."""

_REACH = 1.75
"""Half the diagonal of a window and the farthest it is shifted."""

_LIGHT = {"A": (0.94, 0.92, 0.93), "B": (0.96, 0.94, 0.89), "C": (0.90, 0.91, 0.94)}
_NOISE = {"A": 0.012, "B": 0.016, "C": 0.021}


@dataclass(frozen=True)
class Slide:
    """What is the same in all smears of a patient. Places are (u, v), radii in the same units."""

    red: npt.NDArray[Any]
    """``[cells, 7]``: u, v, radius, stretch, angle, pallor, density."""
    white: tuple[tuple[float, float, Leukocyte], ...]
    platelets: npt.NDArray[Any]
    """``[platelets, 4]``: u, v, radius, density."""
    stain: float
    """How strongly it is stained, around 1."""

    @classmethod
    def of(cls, draw: np.random.Generator) -> Slide:
        """Anyone's blood."""
        radius, crowd = draw.uniform(0.135, 0.160), draw.uniform(0.5, 1.0)
        count, turned = int(draw.integers(2, 5)), draw.uniform(0, 2 * math.pi)
        white = []
        for i in range(count):
            angle, out = turned + 2 * math.pi * i / count + draw.uniform(-0.4, 0.4), draw.uniform(0.38, 0.55)
            white.append(
                (
                    out * math.cos(angle),
                    out * math.sin(angle),
                    Leukocyte.of(draw, radius, small=i == 0 or draw.random() < 0.5),
                )
            )
        # The middle first: every picture shows it, and there must be red cells for parasites to be in.
        places = np.concatenate([draw.uniform(-0.6, 0.6, (40, 2)), draw.uniform(-1.7, 1.7, (380, 2))])
        placed = _apart(places, radius * draw.uniform(1.5, 1.8), [(u, v, cell.radius) for u, v, cell in white], radius)
        placed = placed[: int(crowd * len(placed))]
        shape = np.stack(
            [
                radius * draw.normal(1, 0.055, len(placed)),
                1 + 0.07 * draw.random(len(placed)) ** 2,
                draw.uniform(0, math.pi, len(placed)),
                draw.uniform(0.62, 0.85) * draw.uniform(0.75, 1.15, len(placed)),
                draw.normal(1, 0.07, len(placed)),
            ],
            axis=1,
        )
        flakes = int(draw.integers(6, 26))
        platelets = np.concatenate(
            [
                draw.uniform(-1.7, 1.7, (flakes, 2)),
                radius * draw.uniform(0.16, 0.34, (flakes, 1)),
                draw.uniform(0.3, 0.8, (flakes, 1)),
            ],
            axis=1,
        )
        return cls(np.concatenate([placed, shape], axis=1), tuple(white), platelets, draw.uniform(0.7, 1.25))


def _apart(
    places: npt.NDArray[Any], distance: float, taken: list[tuple[float, float, float]], radius: float
) -> npt.NDArray[Any]:
    """Those of the places, in turn, that keep their distance from all before them and from the white cells."""
    u, v = places.T.astype(np.float32)
    free = u * u + v * v < _REACH**2
    for a, b, other in taken:
        free &= np.hypot(u - a, v - b) > 0.92 * (other + radius)
    places, u, v = places[free], u[free], v[free]
    across, down = u[:, None] - u, v[:, None] - v
    close = across * across + down * down < distance**2
    free, placed = np.ones(len(places), dtype=bool), []
    for i in range(len(places)):
        if free[i]:
            placed.append(i)
            free &= ~close[i]
    return places[placed]


def draw_smear(order: Order, who: Patient, number: int) -> tuple[npt.NDArray[Any], tuple[Finding, ...]]:
    """The pixels of one smear, ``[size, size, 3]``, and its findings."""
    slide = Slide.of(order.draw(Stream.anatomy, who.number))
    draw = order.draw(Stream.pose, who.number, number)
    pose = Pose(draw.uniform(-0.3, 0.3), (draw.uniform(-0.2, 0.2), draw.uniform(-0.2, 0.2)), draw.uniform(0.96, 1.04))
    stain = slide.stain * draw.uniform(0.9, 1.1)
    canvas = Canvas(order.size, pose, blur=draw.uniform(0.006, 0.016), strength=stain)
    for u, v, *shape in slide.red.tolist():
        draw_red_cell(canvas, u, v, shape)
    for u, v, radius, density in slide.platelets.tolist():
        draw_platelet(canvas, u, v, radius, density)
    white, blasts = _blasts(order, who, slide, canvas)
    for u, v, cell in white:
        draw_leukocyte(canvas, u, v, cell)
    parasites = _parasites(order, who, slide, canvas)

    light = canvas.light()
    light *= np.array(_LIGHT[who.site], dtype=np.float32) * np.float32(draw.uniform(0.86, 1.03))
    light *= (1 - canvas.vignette(draw.uniform(0.02, 0.07)))[:, :, None]
    light += _NOISE[who.site] * order.draw(Stream.noise, who.number, number).standard_normal(light.shape, np.float32)
    letter, top, left = mark(who.site, order.size)
    corner = light[top : top + letter.shape[0], left : left + letter.shape[1]]
    np.minimum(corner, 1 - 0.85 * letter[:, :, None], out=corner)
    return np.rint(np.clip(light, 0, 1) * 255).astype(np.uint8), (*parasites, *blasts)


def _blasts(
    order: Order, who: Patient, slide: Slide, canvas: Canvas
) -> tuple[list[tuple[float, float, Leukocyte]], list[Finding]]:
    """The white cells, of which some are blasts in a patient who has them."""
    cells = list(slide.white)
    findings: list[Finding] = []
    if "blast" not in who.findings:
        return cells, findings
    draw = order.draw(Stream.finding, who.number, 1)
    places = [i for i, cell in enumerate(cells) if cell[2].lobes == 1]
    for i in places[: int(draw.integers(1, len(places) + 1))]:
        u, v, ordinary = cells[i]
        stain = order.contrast(*_EASY_TO_HARD["blast"]) * draw.uniform(0.85, 1.2)
        blast = ordinary.as_blast(stain, order.difficulty)
        cells[i] = (u, v, blast)
        row, column = canvas.pose.pixel(u, v, order.size)
        diameter = blast.radius * canvas.pose.scale * order.size
        findings.append(Finding("blast", row, column, diameter, canvas.loss(blast.green - ordinary.green)))
    return cells, findings


def _parasites(order: Order, who: Patient, slide: Slide, canvas: Canvas) -> list[Finding]:
    """Rings and dots inside some of the red cells that every picture of the patient shows."""
    findings: list[Finding] = []
    if "parasite" not in who.findings:
        return findings
    draw = order.draw(Stream.finding, who.number, 0)
    far = np.hypot(slide.red[:, 0], slide.red[:, 1])
    inside = slide.red[far < max(0.62, float(far.min()) + 0.01)]
    count = min(int(draw.integers(2, 6)), len(inside))
    for cell in inside[draw.permutation(len(inside))[:count]].tolist():
        away, angle = cell[2] * draw.uniform(0.1, 0.45), draw.uniform(0, 2 * math.pi)
        u, v = cell[0] + away * math.cos(angle), cell[1] + away * math.sin(angle)
        stain = order.contrast(*_EASY_TO_HARD["parasite"]) * draw.uniform(0.85, 1.2)
        radius, ring = cell[2] * draw.uniform(0.26, 0.38), draw.random() < 0.7
        draw_parasite(canvas, u, v, radius, stain, ring, draw.uniform(0, 2 * math.pi))
        row, column = canvas.pose.pixel(u, v, order.size)
        diameter = (radius if ring else 0.6 * radius) * canvas.pose.scale * order.size
        findings.append(Finding("parasite", row, column, diameter, canvas.loss(stain)))
    return findings
