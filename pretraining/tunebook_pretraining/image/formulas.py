"""Pictures by formula: four families of classes, each a pure function of family, class and picture number.

Pre-training on formulas needs no photographs, so no licence and no patient: fractals (Kataoka et al. 2020,
arXiv:2101.08515), contours (Kataoka et al. 2022, arXiv:2206.09132), textures given by their spectrum, and small
shapes hidden in such textures, which teach to look for faint and local things.
"""

from __future__ import annotations

from collections.abc import Callable
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

CLASSES = 48  # of each family

Plane = NDArray[np.float64]  # [size, size], about 0 to 1
_WALKERS, _STEPS, _DISCARDED = 512, 28, 8


def _generator(family: str, kind: int, number: int = -1) -> np.random.Generator:
    return np.random.default_rng([crc32(family.encode()), kind, number + 1])


def _points(maps: Plane, chances: Plane, draw: np.random.Generator) -> Plane:
    """Points that many walkers visit, ``[points, 2]``: each step applies one of the maps ``[maps, 2, 3]``."""
    at = np.zeros((_WALKERS, 2))
    visited = []
    for step in range(_STEPS):
        chosen = maps[draw.choice(len(maps), size=_WALKERS, p=chances)]
        at = np.einsum("nij,nj->ni", chosen[:, :, :2], at) + chosen[:, :, 2]
        at = np.clip(np.nan_to_num(at), -1e3, 1e3)
        if step >= _DISCARDED:
            visited.append(at)
    return np.concatenate(visited)


def _density(points: Plane, size: int) -> Plane:
    low, high = np.percentile(points, [1, 99], axis=0)
    spread = np.maximum(high - low, 1e-6)
    cells = ((points - low) / spread * (size - 1)).round().astype(int)
    inside = ((cells >= 0) & (cells < size)).all(axis=1)
    counts = np.zeros((size, size))
    np.add.at(counts, (cells[inside, 1], cells[inside, 0]), 1)
    return np.asarray(np.minimum(np.log1p(counts) / np.log(6), 1.0))


def _maps(kind: int) -> tuple[Plane, Plane]:
    """The affine maps of a fractal class: drawn until the picture is neither nearly empty nor full."""
    draw = _generator("fractal class", kind)
    while True:
        maps = draw.uniform(-1, 1, size=(draw.integers(2, 6), 2, 3))
        sizes = np.abs(np.linalg.det(maps[:, :, :2])) + 0.05
        chances = sizes / sizes.sum()
        filled = (_density(_points(maps, chances, draw), 32) > 0).mean()
        if 0.15 < filled < 0.7:
            return maps, chances


def fractal(kind: int, number: int, size: int) -> Plane:
    """An iterated function system with its parameters moved a little."""
    draw = _generator("fractal", kind, number)
    maps, chances = _maps_of(kind)
    return _density(_points(maps * draw.uniform(0.85, 1.15, size=maps.shape), chances, draw), size)


_KNOWN: dict[int, tuple[Plane, Plane]] = {}


def _maps_of(kind: int) -> tuple[Plane, Plane]:
    if kind not in _KNOWN:
        _KNOWN[kind] = _maps(kind)
    return _KNOWN[kind]


def contour(kind: int, number: int, size: int) -> Plane:
    """Nested outlines: corners, lines, roughness and squeeze are the class; place, turn and size the picture."""
    of_class, draw = _generator("contour class", kind), _generator("contour", kind, number)
    corners, lines = int(of_class.integers(3, 12)), int(of_class.integers(2, 9))
    rough, squeeze, step = of_class.uniform(0, 0.5), of_class.uniform(0.4, 1.0), of_class.uniform(0.75, 0.95)
    wide = 2 * size
    picture = Image.new("L", (wide, wide))
    pen = ImageDraw.Draw(picture)
    turn, radius = draw.uniform(0, 2 * np.pi), wide * draw.uniform(0.25, 0.48)
    centre = wide * draw.uniform(0.4, 0.6, size=2)
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    bumps = 1 + rough * draw.uniform(-1, 1, size=corners)
    for line in range(lines):
        reach = radius * bumps * step**line
        x, y = reach * np.cos(angles), squeeze * reach * np.sin(angles)
        ring = np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], axis=1) + centre
        pen.line([tuple(p) for p in [*ring, ring[0]]], fill=255, width=int(draw.integers(1, 4)))
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR), dtype=float) / 255


def _noise(draw: np.random.Generator, size: int, fall: float, angle: float, stretch: float, ring: float) -> Plane:
    """Noise of a given spectrum: how it falls with frequency, its direction, and a preferred wavelength."""
    fy, fx = np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size), indexing="ij")
    along, across = fx * np.cos(angle) + fy * np.sin(angle), -fx * np.sin(angle) + fy * np.cos(angle)
    frequency = np.hypot(along, across * stretch) + 1 / size
    power = frequency**-fall
    if ring:
        power = power * np.exp(-(((frequency - ring) / (0.25 * ring)) ** 2))
    made = np.fft.ifft2(np.fft.fft2(draw.normal(size=(size, size))) * power).real
    return np.asarray(np.clip(0.5 + 0.2 * (made - made.mean()) / (made.std() + 1e-9), 0, 1))


def texture(kind: int, number: int, size: int) -> Plane:
    """Noise: its spectrum is the class, its phases are the picture."""
    of_class, draw = _generator("texture class", kind), _generator("texture", kind, number)
    ring = of_class.uniform(0.05, 0.3) if kind % 2 else 0.0
    angle = of_class.uniform(0, np.pi) + draw.normal(scale=0.08)
    return _noise(draw, size, of_class.uniform(0.3, 2.2), angle, of_class.uniform(1, 4), ring)


def shape(kind: int, number: int, size: int) -> Plane:
    """Faint things in noise: form (4), size (3), lighter or darker (2) and one or three of them (2) are the class."""
    draw = _generator("shape", kind, number)
    form, rest = kind % 4, kind // 4
    radius = size * (0.05, 0.09, 0.15)[rest % 3] * draw.uniform(0.85, 1.15)
    sign, count = (1, -1)[rest // 3 % 2], (1, 3)[rest // 6 % 2]
    picture = _noise(draw, size, draw.uniform(1.0, 2.0), draw.uniform(0, np.pi), draw.uniform(1, 2), 0.0)
    rows, columns = np.mgrid[0:size, 0:size]
    for _ in range(count):
        row, column = draw.uniform(0.15 * size, 0.85 * size, size=2)
        far = np.hypot(rows - row, columns - column) / radius
        turn = draw.uniform(0, np.pi)
        along = ((columns - column) * np.cos(turn) + (rows - row) * np.sin(turn)) / radius
        across = (-(columns - column) * np.sin(turn) + (rows - row) * np.cos(turn)) / radius
        thing = (
            np.exp(-(far**2)),  # soft spot
            1 / (1 + np.exp(8 * (far - 1))),  # disc
            np.exp(-(((far - 1) / 0.3) ** 2)),  # ring
            np.exp(-((across / 0.35) ** 2)) / (1 + np.exp(8 * (np.abs(along) - 1.3))),  # bar
        )[form]
        picture = picture + sign * draw.uniform(0.3, 0.7) * thing
    return np.clip(picture, 0, 1)


FAMILIES: dict[str, Callable[[int, int, int], Plane]] = {
    "fractal": fractal,
    "contour": contour,
    "texture": texture,
    "shape": shape,
}


def picture(family: str, kind: int, number: int, size: int) -> NDArray[np.uint8]:
    """Draw one picture, ``[size, size, 3]``: half of them in grey, half between two random colours.

    Raises:
        KeyError: There is no such family.
    """
    plane = FAMILIES[family](kind, number, size)
    draw = _generator(f"{family} look", kind, number)
    plane = np.rot90(plane, int(draw.integers(0, 4)) if family in ("fractal", "shape") else 0)
    if draw.random() < 0.3:
        soft = Image.fromarray((255 * plane).astype(np.uint8)).filter(ImageFilter.GaussianBlur(draw.uniform(0.3, 1)))
        plane = np.asarray(soft, dtype=float) / 255
    plane = plane + draw.normal(scale=draw.uniform(0, 0.06), size=plane.shape)
    if draw.random() < 0.5:
        dark, light = draw.uniform(0, 0.35, size=1), draw.uniform(0.6, 1.0, size=1)
    else:
        dark, light = draw.uniform(0, 1, size=3), draw.uniform(0, 1, size=3)
        light = np.where(np.abs(light - dark).max() < 0.4, 1 - dark.round(), light)
    coloured = dark + plane[:, :, None] * (light - dark)
    return np.asarray(np.broadcast_to(np.clip(255 * coloured, 0, 255), (size, size, 3))).astype(np.uint8)
