"""The pictures that a model was most wrong about, each with a map of where the model looked."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from tunebook.statistics.findings import FindingPredictions

SIDE = 160
"""Longer side of each half of a picture, in pixels."""
GAP = 4
COVER = 0.65
"""Share of the picture that the colour of the greatest heat covers."""


def worst_mistakes(predictions: FindingPredictions, count: int) -> list[tuple[int, int]]:
    """Find the most confident wrong answers, worst first.

    A row counts once, with the finding whose probability is furthest from the truth, and only where that is more
    than 0.5 away.

    Returns:
        At most ``count`` pairs of row and finding (a column of ``predictions``).
    """
    if not predictions.findings:
        return []
    errors = np.abs(predictions.probabilities - predictions.target)
    findings = errors.argmax(1)
    worst = errors.max(1)
    order = np.argsort(-worst, kind="stable")
    return [(int(row), int(findings[row])) for row in order[worst[order] > 0.5][:count]]


def overlay(pixels: NDArray[np.uint8], heat: NDArray[np.floating]) -> bytes:
    """Draw a picture (left) and the same under a heat map (right), as a PNG file.

    Both are scaled so that the longer side has `SIDE` pixels. Small pictures are enlarged without smoothing: what
    the model saw is what is shown. The colours ("inferno") grow evenly in lightness with the heat, so that they can
    be distinguished in print and with any colour vision; the hotter, the more they cover.

    Args:
        pixels: ``[height, width]`` grey or ``[height, width, 3]`` colours.
        heat: ``[height, width]``, 0 to 1.
    """
    from matplotlib import colormaps
    from PIL import Image

    if heat.shape != pixels.shape[:2]:
        raise ValueError(f"a heat map {heat.shape} does not fit a picture {pixels.shape[:2]}")
    height, width = heat.shape
    scale = SIDE / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BICUBIC
    picture = np.asarray(Image.fromarray(pixels).convert("RGB").resize(size, how), dtype=np.float32)
    warmth = Image.fromarray(heat.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
    share = np.clip(np.asarray(warmth), 0, 1)  # bicubic overshoots
    colours = 255 * colormaps["inferno"](share)[..., :3]
    alpha = COVER * share[..., None]
    between = np.full((size[1], GAP, 3), 128.0)
    drawn = np.concatenate([picture, between, (1 - alpha) * picture + alpha * colours], axis=1)
    file = io.BytesIO()
    Image.fromarray(np.round(drawn).astype(np.uint8)).save(file, format="PNG", optimize=True)
    return file.getvalue()
