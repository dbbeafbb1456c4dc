"""The anatomy of a chest, and how an X-ray shows it.

Brightness is a share of the full range: air is dark, bone is bright. Places are in body coordinates: u to the
right of the picture (the patient's left), v down; the rib cage reaches from about -0.8 to 0.6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .fields import Field, bump, edge, smooth


@dataclass(frozen=True)
class Chest:
    """What is the same in all X-rays of a patient."""

    woman: bool
    width: float
    """Inner half-width of the rib cage."""
    apex: float
    """Top of the lungs."""
    dome: tuple[float, float]
    """Top of the diaphragm at medium breath: right side of the body, left side."""
    heart: float
    build: float
    """How much soft tissue there is, around 1."""
    ribs: float
    """Distance from rib to rib."""
    slope: float
    strength: npt.NDArray[Any]
    """How dense each rib is, ``[2, 12]``: behind, in front."""
    clavicle: float
    gas: float
    lumps: tuple[npt.NDArray[Any], ...]
    """Soft tissue of many sizes, one table an octave."""
    vessels: npt.NDArray[Any]

    @classmethod
    def of(cls, draw: np.random.Generator, woman: bool) -> Chest:
        """Anyone's chest."""
        between = draw.uniform
        dome = between(0.30, 0.48)
        return cls(
            woman=woman,
            width=between(0.64, 0.76) - 0.03 * woman,
            apex=between(-0.82, -0.70),
            dome=(dome, dome + between(0.02, 0.08)),
            heart=between(0.84, 1.16),
            build=between(0.85, 1.2),
            ribs=between(0.142, 0.178),
            slope=between(0.3, 0.6),
            strength=between(0.75, 1.2, (2, 12)),
            clavicle=between(-0.05, 0.05),
            gas=between(0.0, 0.22),
            lumps=tuple(draw.standard_normal((n, n)) for n in (10, 20, 40, 80)),
            vessels=draw.standard_normal((2, 40, 16)),
        )


@dataclass(frozen=True)
class View:
    """A chest as one picture catches it: how deep the breath is, how far the body is turned, and from which side."""

    chest: Chest
    breath: float
    """How far the diaphragm is lower than at medium breath."""
    turn: float
    """How far the middle of the body is shifted against its outline."""
    enlarged: float
    """The heart's size: 1 from behind, more from the front, where it lies farther from the detector."""

    def wall(self, v: Any) -> Any:
        """Inner half-width of the rib cage at height v."""
        down = np.clip((v - self.chest.apex) / 1.25, 0, 1)
        return self.chest.width * (1 - (1 - down) ** 3.2) ** 0.55

    def floor(self, u: Any) -> Any:
        """Height of the diaphragm: a dome over each side, steep at the wall."""
        right, left = self.chest.dome
        top = np.where(u < 0, np.float32(right + self.breath), np.float32(left + self.breath))
        across = (np.abs(u) - 0.3) / (self.chest.width - 0.3)
        return top + np.where(across > 0, 0.19 * np.abs(across) ** 2.6, 0.05 * across**2)

    def heart_edge(self, u: Any, v: Any) -> Any:
        """How far inside the heart a place is, in body coordinates, about."""
        size = 0.275 * self.chest.heart * self.enlarged
        top = (self.chest.dome[1] + self.breath) - 0.9 * size
        x, y = u - 0.085 - self.turn, v - top
        along, across = 0.80 * x + 0.60 * y, -0.60 * x + 0.80 * y
        return size - np.sqrt((along / 1.25) ** 2 + (across / 0.95) ** 2)

    def lungs(self, u: Field, v: Field) -> Field:
        """Where lung shows against what is before and behind it, 0 to 1, ``[size, size]``."""
        middle = 0.115 + 0.06 * np.clip(v + 0.75, 0, 1) ** 2
        aired = edge(self.wall(v) - np.abs(u), 0.008)
        aired *= edge(np.abs(u - self.turn) - middle, 0.014)
        aired *= edge(self.floor(u) - v, 0.007)
        aired *= 1 - 0.93 * edge(self.heart_edge(u, v), 0.009)
        knob = 0.085 - np.hypot(u - 0.10 - self.turn, v + 0.30)  # the arch of the aorta
        return np.asarray(aired * (1 - 0.85 * edge(knob, 0.01)), dtype=np.float32)

    def in_lung(self, side: int, across: float, down: float) -> tuple[float, float]:
        """A place well inside a lung: ``across`` from the middle to the wall, ``down`` from apex to diaphragm."""
        bottom = float(self.floor(side * 0.42))
        v = self.chest.apex + 0.08 + down * (bottom - self.chest.apex - 0.08)
        outer, inner = float(self.wall(v)), 0.16
        while side > 0 and self.heart_edge(inner, v) > -0.03 and inner < outer:
            inner += 0.01
        return side * (inner + across * (outer - inner)), v

    def draw(self, u: Field, v: Field, lungs: Field) -> Field:
        """Brightness of the healthy chest, ``[size, size]``, without noise."""
        body = self._body(u, v)
        bright = (0.50 + 0.06 * (self.chest.build - 1)) * body
        below = v - self.floor(u)
        bright += 0.15 * edge(below, 0.03) * body  # belly
        gas = self.chest.gas * bump(u - 0.33, 0.10) * bump(below - 0.09, 0.035)  # in the stomach, under the left dome
        bright -= gas
        bright -= 0.22 * bump(u - self.turn, 0.05) * edge(-0.42 - v, 0.06)  # windpipe
        bright += self._middle(u, v) * body
        clutter = self._clutter(u, v)
        bright += (0.35 + 0.65 * lungs) * clutter * body
        bright -= (0.36 - 0.03 * (self.chest.build - 1)) * lungs
        bright += self._vessels(u, v) * lungs
        bright += self._bones(u, v) * (0.35 + 0.65 * lungs) * body
        if self.chest.woman:
            bright += 0.055 * self._breasts(u, v) * body
        return bright

    def _body(self, u: Field, v: Field) -> Field:
        """The outline: neck, shoulders, flanks."""
        across = np.abs(u)
        shoulder = 0.86 - 0.72 * np.exp(-((np.clip(v + 1.02, 0, None) / 0.17) ** 1.5))
        flank = 0.86 + 0.06 * self.chest.build - 0.10 * edge(v + 0.25, 0.10) + 0.04 * edge(v - 0.5, 0.1)
        return edge(np.minimum(shoulder + 0.12, flank) * (0.93 + 0.07 * self.chest.build) - across, 0.012)

    def _middle(self, u: Field, v: Field) -> Field:
        """Spine, with the gaps between its bodies, and the heart's own density."""
        x = u - 0.6 * self.turn
        spine = edge(0.085 - np.abs(x), 0.012)
        bodies = 0.06 + 0.022 * np.cos(2 * np.pi * v / (0.95 * self.chest.ribs), dtype=np.float32)
        heart = edge(self.heart_edge(u, v), 0.03)
        return spine * bodies + 0.10 * heart + 0.05 * bump(x, 0.13)

    def _bones(self, u: Field, v: Field) -> Field:
        across = np.abs(u)
        cage = edge(self.wall(v) + 0.02 - across, 0.012) * edge(0.62 - v, 0.05)
        behind = self._rib_row(v - 0.62 * self.chest.slope * np.clip(across - 0.1, 0, None) ** 1.9 * 2.2, 0.24, 0)
        front = self._rib_row(v + 0.95 * across**0.8, 0.30, 1) * edge(across - 0.24, 0.03)
        # The cage's side walls are seen edge on.
        side = 0.5 * bump(self.wall(v) - across, 0.02)
        ribs = (0.095 * behind + 0.055 * front * edge(0.15 - v, 0.08)) * (1 + side) * edge(across - 0.07, 0.01)
        line = -0.66 + self.chest.clavicle - 0.22 * (across - 0.1) + 0.07 * np.sin(7 * across)
        collar = edge(0.030 - np.abs(v - line), 0.006) * edge(across - 0.10, 0.02) * edge(0.74 - across, 0.02)
        blade = 0.05 * edge(across - 0.60 - 0.12 * (v + 0.2), 0.012) * edge(0.05 - v, 0.04) * edge(0.80 - across, 0.03)
        return np.asarray(ribs * cage + 0.15 * collar + blade, dtype=np.float32)

    def _rib_row(self, height: Field, thick: float, row: int) -> Field:
        """All ribs of one row at once: bright rims, a paler marrow, and gaps between, 0 to about 1.2."""
        phase = (height - self.chest.apex) / np.float32(self.chest.ribs) + 0.35 * row
        count = np.floor(phase)
        off = np.abs(phase - count - np.float32(0.5)) * 2
        rib = edge(2 * thick - off, 0.07) * (0.75 + 0.35 * bump(off - np.float32(2 * thick - 0.12), 0.10))
        which = np.clip(count, 0, 11).astype(np.intp)
        return np.asarray(rib * self.chest.strength[row].astype(np.float32)[which])

    def _clutter(self, u: Field, v: Field) -> Field:
        """Soft tissue of every size; what hides a faint finding."""
        middle = len(u) // 2
        rows, columns = v[:, middle], u[middle]
        octaves = zip((0.030, 0.026, 0.020, 0.012), self.chest.lumps, strict=True)
        return sum((height * smooth(table, rows, columns) for height, table in octaves), np.zeros_like(u))

    def _vessels(self, u: Field, v: Field) -> Field:
        """Branches that leave each hilum, thinner and fainter with distance."""
        side = (u > self.turn).astype(np.intp)
        x, y = np.abs(u - self.turn) - np.float32(0.13), v + np.float32(0.12)
        distance = np.hypot(x, y) + np.float32(0.02)
        turns, count = self.chest.vessels.shape[1:]
        angle = (np.arctan2(y, x) / (2 * np.pi) + 0.5) * turns
        ring = np.clip(np.log2(distance / 0.02) * 2.2, 0, count - 1.01)
        a, r = np.floor(angle).astype(np.intp), np.floor(ring).astype(np.intp)
        fa, fr = (angle - a).astype(np.float32), (ring - r).astype(np.float32)
        table = self.chest.vessels.astype(np.float32)
        low, high = a % turns, (a + 1) % turns
        near = table[side, low, r] * (1 - fa) + table[side, high, r] * fa
        far = table[side, low, r + 1] * (1 - fa) + table[side, high, r + 1] * fa
        streak = np.clip(1 - np.abs(near * (1 - fr) + far * fr) * 1.6, 0, None)
        hilum = 0.10 * bump(x, 0.05) * bump(y, 0.11)
        return np.asarray(0.13 * streak * np.exp(-distance / 0.30) + hilum, dtype=np.float32)

    def _breasts(self, u: Field, v: Field) -> Field:
        inside = 0.27 - np.hypot((np.abs(u) - 0.42) / 1.15, v - 0.22 - 0.3 * self.breath)
        return edge(inside, 0.02) * np.clip((v + 0.1) * 2.2, 0, 1)
