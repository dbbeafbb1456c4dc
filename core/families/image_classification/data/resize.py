"""Pictures brought to one square size, in their own depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")
FITS = ("pad", "stretch", "crop")


@dataclass(frozen=True)
class Square:
    """How a picture becomes a square.

    Attributes:
        size: Height and width in pixels.
        fit: pad (nothing is lost: black around it), stretch (nothing is lost, shapes change) or crop (what lies
            outside the middle square is lost).
        interpolation: One of `INTERPOLATIONS`; always antialiased when the picture shrinks.
    """

    size: int
    fit: str = "pad"
    interpolation: str = "bicubic"


def resized(pixels: NDArray[Any], square: Square) -> NDArray[Any]:
    """A picture ``[height, width]`` or ``[height, width, 3]`` as ``[size, size, channels]`` of the same type."""
    if square.fit == "crop":
        pixels = _middle(pixels)
    height, width = pixels.shape[:2]
    longest = max(height, width)
    if square.fit == "pad":
        target = tuple(max(1, round(side * square.size / longest)) for side in (height, width))
    else:
        target = (square.size, square.size)
    small = pixels if (height, width) == target else _scaled(pixels, target, square.interpolation)
    small = small[..., None] if small.ndim == 2 else small
    if target == (square.size, square.size):
        return small
    whole = np.zeros((square.size, square.size, small.shape[2]), dtype=small.dtype)
    top, left = (square.size - target[0]) // 2, (square.size - target[1]) // 2
    whole[top : top + target[0], left : left + target[1]] = small
    return whole


def _middle(pixels: NDArray[Any]) -> NDArray[Any]:
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def _scaled(pixels: NDArray[Any], target: tuple[int, ...], interpolation: str) -> NDArray[Any]:
    from PIL import Image

    method = Image.Resampling[interpolation.upper()]
    size = (target[1], target[0])
    if pixels.dtype == np.uint8:
        return np.asarray(Image.fromarray(pixels).resize(size, method))
    # Pillow scales 16-bit pixels as floats, a channel at a time; a bicubic curve may not leave the picture's range.
    planes = pixels[..., None] if pixels.ndim == 2 else pixels
    low, high = int(pixels.min()), int(pixels.max())
    scaled = [
        np.asarray(Image.fromarray(planes[..., c].astype(np.float32)).resize(size, method))
        for c in range(planes.shape[2])
    ]
    whole: NDArray[Any] = np.clip(np.rint(np.stack(scaled, axis=-1)), low, high).astype(pixels.dtype)
    return whole[..., 0] if pixels.ndim == 2 else whole
