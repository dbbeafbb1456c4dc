"""What pictures are made of: soft edges, lumps, and the film on which they are drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[Any]
"""float32, one value a pixel; arithmetic with Python's own numbers keeps it so."""

_GLYPHS = {
    "A": ("01110", "10001", "10001", "11111", "10001", "10001", "10001"),
    "B": ("11110", "10001", "11110", "10001", "10001", "10001", "11110"),
    "C": ("01111", "10000", "10000", "10000", "10000", "10000", "01111"),
}


def edge(distance: Any, width: float) -> Field:
    """A soft step: 0 far outside (negative distance), 1 far inside, a half at the edge."""
    return np.asarray(0.5 + 0.5 * np.tanh(distance * np.float32(0.5 / width)), dtype=np.float32)


def bump(distance: Field, width: float) -> Field:
    """A Gaussian ridge of height 1 at distance 0; ``width`` is its standard deviation."""
    # Not below e**-20: numbers so small that processors slow down on them are of no use here.
    power = np.maximum(np.float32(-0.5 / width**2) * distance * distance, np.float32(-20))
    return np.asarray(np.exp(power), dtype=np.float32)


def smooth(table: npt.NDArray[Any], rows: Field, columns: Field) -> Field:
    """A smooth surface through a table of random numbers, ``[rows, columns]``.

    Args:
        table: ``[n, n]`` weights of cubic B-splines, spread evenly over -1.25 .. 1.25 in both directions.
        rows: Where to read it, ``[height]``.
        columns: Where to read it, ``[width]``.
    """
    # Weighted rows instead of a matrix product, whose last bits would differ between processors.
    return np.ascontiguousarray(_along(_along(table.astype(np.float32), rows).T, columns).T)


def _along(table: Field, at: Field) -> Field:
    """The table's rows, read in between with the four cubic B-splines that are not 0, ``[len(at), columns]``."""
    position = np.clip((at + np.float32(1.25)) * np.float32((len(table) - 1) / 2.5), 1, len(table) - 2.001)
    first = position.astype(np.intp)
    t = (position - first).astype(np.float32)[:, None]
    rest = 1 - t
    read = rest**3 / 6 * table[first - 1] + t**3 / 6 * table[first + 2]
    read += (2 / 3 - t * t * (1 - t / 2)) * table[first]
    read += (2 / 3 - rest * rest * (1 - rest / 2)) * table[first + 1]
    return np.asarray(read, dtype=np.float32)


@dataclass(frozen=True)
class Pose:
    """How a body (or slide) lies under the camera: turned, shifted and enlarged.

    A picture reaches from -1 to 1 in both directions, x to the right and y down.
    """

    angle: float
    shift: tuple[float, float]
    scale: float

    def grid(self, size: int) -> tuple[Field, Field]:
        """Body coordinates (u, v) of each pixel's centre, ``[size, size]`` each."""
        axis = (np.arange(size, dtype=np.float32) + 0.5) * np.float32(2 / size) - 1
        x, y = (axis - self.shift[0]) / self.scale, (axis - self.shift[1]) / self.scale
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        u = (cos * x)[None, :] + (sin * y)[:, None]
        v = (-sin * x)[None, :] + (cos * y)[:, None]
        return u.astype(np.float32), v.astype(np.float32)

    def pixel(self, u: float, v: float, size: int) -> tuple[float, float]:
        """Row and column in pixels of a place on the body."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        x = self.scale * (cos * u - sin * v) + self.shift[0]
        y = self.scale * (sin * u + cos * v) + self.shift[1]
        return (y + 1) * size / 2 - 0.5, (x + 1) * size / 2 - 0.5


def mark(site: str, size: int) -> tuple[Field, int, int]:
    """The letter that a site leaves in a corner of its own: a mask, and its top row and left column."""
    letter = np.array([[float(dot) for dot in line] for line in _GLYPHS[site]], dtype=np.float32)
    dot = max(1, size // 96)
    letter = np.kron(letter, np.ones((dot, dot), dtype=np.float32))
    margin = max(2, size // 24)
    far_row, far_column = size - margin - len(letter), size - margin - letter.shape[1]
    top, left = {"A": (margin, margin), "B": (margin, far_column), "C": (far_row, far_column)}[site]
    return letter, top, left
