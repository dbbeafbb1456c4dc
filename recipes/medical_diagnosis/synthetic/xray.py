"""Chest X-rays with nodules, opacities and effusions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .chest import Chest, View
from .fields import Field, Pose, bump, edge, mark, smooth
from .patients import Patient, Stream
from .picture import Finding, Order

_CONTRAST = {"nodule": (0.34, 0.025), "opacity": (0.48, 0.045), "effusion": (0.34, 0.02)}
"""Of each finding at difficulty 0 and 1, a share of the full range of grey."""

_BRIGHTER = {"A": 0.0, "B": 0.025, "C": -0.02}
_NOISE = {"A": 0.016, "B": 0.020, "C": 0.025}


def draw_xray(order: Order, who: Patient, number: int) -> tuple[npt.NDArray[Any], tuple[Finding, ...]]:
    """The pixels of one X-ray, ``[size, size]``, and its findings."""
    chest = Chest.of(order.draw(Stream.anatomy, who.number), who.sex == "F")
    draw = order.draw(Stream.pose, who.number, number)
    from_front = draw.random() < 0.3
    pose = Pose(
        angle=draw.normal(0, 0.018),
        shift=(draw.normal(0, 0.02), draw.normal(0.02, 0.02)),
        scale=draw.uniform(0.98, 1.02) * (1.03 if from_front else 1.0),
    )
    breath = draw.normal(0, 0.025) - (0.04 if from_front else 0)
    view = View(chest, breath, turn=draw.normal(0, 0.015), enlarged=1.1 if from_front else 1.0)
    u, v = pose.grid(order.size)
    lungs = view.lungs(u, v)
    bright = view.draw(u, v, lungs)
    bright = (bright - 0.42) * draw.uniform(1.15, 1.35) + 0.42 + _BRIGHTER[who.site] + draw.normal(0, 0.025)

    shown, findings = _findings(order, who, view, pose, (u, v, lungs))
    # Automatic exposure: the detector aims at the same mean grey, finding or not.
    bright += shown - shown.mean()
    bright += _NOISE[who.site] * order.draw(Stream.noise, who.number, number).standard_normal(u.shape, np.float32)
    letter, top, left = mark(who.site, order.size)
    corner = bright[top : top + letter.shape[0], left : left + letter.shape[1]]
    np.maximum(corner, 0.9 * letter, out=corner)
    highest, kind = (255, np.uint8) if order.bits == 8 else (4095, np.uint16)
    return np.rint(np.clip(bright, 0, 1) * highest).astype(kind), findings


def _findings(
    order: Order, who: Patient, view: View, pose: Pose, body: tuple[Field, Field, Field]
) -> tuple[Field, tuple[Finding, ...]]:
    """What all findings add to the brightness, ``[size, size]``, and where they are."""
    shown, findings = np.zeros_like(body[0]), []
    for index, name in enumerate(_CONTRAST):
        if name not in who.findings:
            continue
        # A stream for each name: a patient with two findings has each as with that one alone.
        draw = order.draw(Stream.finding, who.number, index)
        count = 2 if name == "nodule" and draw.random() < 0.25 else 1
        for _ in range(count):
            side = 1 if draw.random() < 0.5 else -1
            contrast = order.contrast(*_CONTRAST[name]) * draw.uniform(0.85, 1.2)
            if name == "effusion":
                profile, finding = _effusion(draw, side, contrast, view, pose, body)
            else:
                profile, finding = _patch(name, draw, side, contrast, view, pose, body[2])
            shown += np.float32(contrast) * profile
            findings.append(finding)
    return shown, tuple(findings)


def _patch(
    name: str, draw: np.random.Generator, side: int, contrast: float, view: View, pose: Pose, lungs: Field
) -> tuple[Field, Finding]:
    """A nodule, round with a soft edge, or an ill-defined opacity: its profile of height 1."""
    size = len(lungs)
    u, v = view.in_lung(side, draw.uniform(0.25, 0.75), draw.uniform(0.2, 0.85))
    row, column = pose.pixel(u, v, size)
    y = np.arange(size, dtype=np.float32)[:, None] - row
    x = np.arange(size, dtype=np.float32)[None, :] - column
    if name == "nodule":
        diameter = draw.uniform(0.065, 0.105) * size
        profile = edge(diameter / 2 - np.hypot(x, y), max(0.07 * diameter, 0.3))
    else:
        diameter, turned, longer = draw.uniform(0.15, 0.23) * size, draw.uniform(0, math.pi), draw.uniform(1, 1.35)
        along, across = x * math.cos(turned) + y * math.sin(turned), y * math.cos(turned) - x * math.sin(turned)
        # Half of its height at the diameter; ragged, because lobules fill one by one.
        envelope = bump(np.hypot(along / longer, across * longer), diameter / 2.355)
        table = draw.standard_normal((14, 14))
        ragged = smooth(table, np.clip(y[:, 0] / diameter, -1, 1), np.clip(x[0] / diameter, -1, 1))
        profile = envelope * np.clip(1 + 0.6 * ragged, 0.3, None) * lungs
    profile = np.asarray(profile / profile.max(), dtype=np.float32)
    return profile, Finding(name, row, column, diameter, contrast)


def _effusion(
    draw: np.random.Generator, side: int, contrast: float, view: View, pose: Pose, body: tuple[Field, Field, Field]
) -> tuple[Field, Finding]:
    """Fluid on the diaphragm: its level is flat in the middle and climbs the wall."""
    u, v, lungs = body
    outer = view.chest.width
    deep = draw.uniform(0.16, 0.34)
    bottom = float(view.floor(side * 0.85 * outer))

    def level(across: Any) -> Any:
        return bottom - deep - 0.16 * np.clip((side * across / outer - 0.55) / 0.45, 0, 1) ** 2

    profile = lungs * edge(v - level(u), 0.012) * edge(side * u - 0.05, 0.01)
    place = side * 0.72 * outer
    top, base = float(level(place)), float(view.floor(place))
    row, column = pose.pixel(place, (top + base) / 2, len(u))
    height = (base - top) * pose.scale * len(u) / 2
    return np.asarray(profile, dtype=np.float32), Finding("effusion", row, column, height, contrast)
