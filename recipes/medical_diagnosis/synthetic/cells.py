"""Blood cells, and the canvas that they stain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .fields import Field, Pose, bump, edge

_STAINS = np.array(
    [
        (0.09, 0.40, 0.30),  # eosin: red cells, salmon
        (0.66, 1.00, 0.34),  # azure on nuclei: purple
        (0.34, 0.26, 0.10),  # azure on cytoplasm: pale blue
    ],
    dtype=np.float32,
)
"""Density of red, green and blue light for one unit of each stain; a unit of nuclear stain is one of green."""

_RED, _NUCLEUS, _BLUE = range(3)


class Canvas:
    """Density of each stain in the window that one picture shows."""

    def __init__(self, size: int, pose: Pose, blur: float, strength: float) -> None:
        self.size = size
        self.pose = pose
        self.blur = max(blur, 0.7 / size)  # half a pixel at least, so that edges have no steps
        self.strength = strength
        self.stains = np.zeros((3, size, size), dtype=np.float32)

    def patch(self, u: float, v: float, reach: float) -> tuple[tuple[slice, slice], Field, Field] | None:
        """The pixels within reach of a place, and their offsets (x, y) from it in slide units."""
        row, column = self.pose.pixel(u, v, self.size)
        half, unit = reach * self.size / 2 * self.pose.scale + 1, 2 / self.size / self.pose.scale
        if not (-half < row < self.size + half and -half < column < self.size + half):
            return None
        top, bottom = max(0, math.ceil(row - half)), min(self.size, math.floor(row + half) + 1)
        left, right = max(0, math.ceil(column - half)), min(self.size, math.floor(column + half) + 1)
        if top >= bottom or left >= right:
            return None
        y = ((np.arange(top, bottom) - row) * unit).astype(np.float32)[:, None]
        x = ((np.arange(left, right) - column) * unit).astype(np.float32)[None, :]
        return (slice(top, bottom), slice(left, right)), x, y

    def light(self) -> Field:
        """What is left of white light, ``[size, size, 3]``."""
        red, nucleus, blue = np.float32(self.strength) * _STAINS
        stains = self.stains[:, :, :, None]
        density = stains[_RED] * red + stains[_NUCLEUS] * nucleus + stains[_BLUE] * blue
        return np.asarray(np.exp(-density), dtype=np.float32)

    def loss(self, density: float) -> float:
        """The share of green light that a density at full strength takes away."""
        return 1 - math.exp(-self.strength * density)

    def vignette(self, depth: float) -> Field:
        """Light lost towards the corners, ``[size, size]``."""
        axis = np.linspace(-1, 1, self.size, dtype=np.float32) ** 2
        return np.float32(depth) * (axis[:, None] + axis[None, :])


def draw_red_cell(canvas: Canvas, u: float, v: float, shape: Sequence[float]) -> None:
    """A disc that is thin in the middle. Shape: radius, stretch, angle, pallor, density."""
    radius, stretch, angle, pallor, density = shape
    patch = canvas.patch(u, v, 1.2 * radius + 2 * canvas.blur)
    if patch is None:
        return
    where, x, y = patch
    cos, sin = math.cos(angle), math.sin(angle)
    far = np.hypot((x * cos + y * sin) * stretch, (y * cos - x * sin) / stretch)
    disc = edge(radius - far, 0.6 * canvas.blur) * (1 - pallor * bump(far, 0.40 * radius))
    canvas.stains[_RED][where] += np.float32(density) * disc


def draw_platelet(canvas: Canvas, u: float, v: float, radius: float, density: float) -> None:
    """A small granular flake; on a red cell it looks much like a parasite."""
    patch = canvas.patch(u, v, 2 * radius + 2 * canvas.blur)
    if patch is None:
        return
    where, x, y = patch
    flake = edge(radius - np.hypot(x, y), 0.3 * radius + canvas.blur)
    canvas.stains[_NUCLEUS][where] += np.float32(density) * flake


def draw_parasite(canvas: Canvas, u: float, v: float, radius: float, stain: float, ring: bool, angle: float) -> None:
    """A thin ring with a dark grain on it, or a dot."""
    patch = canvas.patch(u, v, 1.6 * radius + 2 * canvas.blur)
    if patch is None:
        return
    where, x, y = patch
    soft = 0.1 * radius + 0.5 * canvas.blur
    grain = (0.36 if ring else 0.6) * radius
    away = 0.8 * radius if ring else 0.0
    shown = edge(grain - np.hypot(x - away * math.cos(angle), y - away * math.sin(angle)), soft)
    shown /= edge(np.float32(grain), soft)  # full strength in the middle, however blurred
    if ring:
        shown = np.maximum(shown, 0.75 * bump(np.hypot(x, y) - np.float32(0.75 * radius), 1.6 * soft))
    canvas.stains[_NUCLEUS][where] += np.float32(stain) * shown


@dataclass(frozen=True)
class Leukocyte:
    """A white cell: a lymphocyte with a round nucleus, a granulocyte with a lobed one, or a blast."""

    radius: float
    nucleus: float
    """Radius of the nucleus, or of the ring of its lobes, as a share of the cell's."""
    lobes: int
    angle: float
    density: float
    blue: float
    """Stain of the cell's body; the pinker the lower."""
    nucleoli: float = 0.0
    """How pale the nucleoli are, a share of the nucleus."""

    @property
    def green(self) -> float:
        """Density of green light through the nucleus."""
        return self.density + float(_STAINS[_BLUE, 1]) * self.blue

    @classmethod
    def of(cls, draw: np.random.Generator, red: float, small: bool) -> Leukocyte:
        """An ordinary white cell, beside red cells of this radius: a lymphocyte if small, else a granulocyte."""
        size, angle, density = draw.normal(1, 0.07), draw.uniform(0, 2 * math.pi), draw.normal(1.0, 0.1)
        lobes = int(draw.integers(2, 5))
        if small:
            return cls(1.2 * size * red, 0.80, 1, angle, density, 0.55)
        return cls(1.6 * size * red, 0.42, lobes, angle, density, 0.30)

    def as_blast(self, density: float, difficulty: float) -> Leukocyte:
        """The blast in this lymphocyte's place: larger, its nucleus darker by ``density`` and nearly filling it.

        The harder, the more it is like the lymphocyte.
        """
        easy = 1 - difficulty
        return replace(
            self,
            radius=self.radius * (1.02 + 0.4 * easy**3),
            nucleus=0.80 + 0.06 * easy,
            density=self.density + density,
            blue=0.55 + 0.45 * easy,
            nucleoli=0.35 * easy,
        )


def draw_leukocyte(canvas: Canvas, u: float, v: float, cell: Leukocyte) -> None:
    """A white cell of any kind."""
    patch = canvas.patch(u, v, 1.1 * cell.radius + 2 * canvas.blur)
    if patch is None:
        return
    where, x, y = patch
    far, around = np.hypot(x, y), np.arctan2(y, x) - np.float32(cell.angle)
    wavy = cell.radius * (1 + 0.03 * np.cos(3 * around) + 0.02 * np.cos(5 * around))
    canvas.stains[_BLUE][where] += np.float32(cell.blue) * edge(wavy - far, 0.7 * canvas.blur)
    nucleus = _lobed(cell, x, y, canvas.blur) if cell.lobes > 1 else _round(cell, x, y, far, around, canvas.blur)
    canvas.stains[_NUCLEUS][where] += np.float32(cell.density) * nucleus


def _round(cell: Leukocyte, x: Field, y: Field, far: Field, around: Field, blur: float) -> Field:
    outline = cell.nucleus * cell.radius * (1 + 0.04 * np.cos(2 * around))
    nucleus = edge(outline - far, 0.6 * blur)
    if cell.nucleoli:
        for turn in (0.3, 2.6):
            a, b = (0.38 * cell.radius * f(cell.angle + turn) for f in (math.cos, math.sin))
            nucleus = nucleus * (1 - cell.nucleoli * bump(np.hypot(x - a, y - b), 0.13 * cell.radius))
    return nucleus


def _lobed(cell: Leukocyte, x: Field, y: Field, blur: float) -> Field:
    """Lobes on an arc, joined by a strand."""
    nucleus: Any = np.float32(0)
    for i in range(cell.lobes):
        turn = cell.angle + (i - (cell.lobes - 1) / 2) * 1.25
        a, b = (cell.nucleus * cell.radius * f(turn) for f in (math.cos, math.sin))
        nucleus = np.maximum(nucleus, edge(0.30 * cell.radius - np.hypot(x - a, y - b), 0.6 * blur))
    return np.asarray(nucleus, dtype=np.float32)
