"""Training images a little changed each time: whole batches at once, each image in its own way.

What happens to an image follows from the seed, the epoch and its row alone (`tunebook.data.draws`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

FLIPS = ("none", "horizontal", "vertical", "both")
DRAWS = 8
"""Numbers that `augment` takes for each image."""


@dataclass(frozen=True)
class Augmentation:
    """How far an image may be changed; nothing is by default.

    Attributes:
        flip: Mirror images, each with probability one half: none, horizontal, vertical or both.
        rotate: Turned by up to this many degrees either way.
        shift: Moved, along each side, by up to this share of it.
        zoom: Made larger or smaller by up to this share: 0.25 is from 1 / 1.25 to 1.25 times the size.
        contrast: Distances from the image's mean changed by up to this share.
        brightness: Up to this share of full brightness added or taken away.
    """

    flip: str = "none"
    rotate: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    contrast: float = 0.0
    brightness: float = 0.0

    def __post_init__(self) -> None:
        if self.flip not in FLIPS:
            raise ValueError(f"flip must be one of {FLIPS}, not {self.flip!r}")

    @property
    def moves(self) -> bool:
        """Whether pixels change their place other than by mirrors."""
        return self.rotate > 0 or self.shift > 0 or self.zoom > 0


def augment(pixels: Tensor, drawn: NDArray[np.float64], settings: Augmentation) -> Tensor:
    """Change each image of a batch in its own way.

    Contrast and brightness come first, so that what a moved image leaves free is black as it is beside images that
    do not fill their square. Images are resampled once, bilinearly.

    Args:
        pixels: ``[batch, channels, height, width]``, 0 to 1; left as it is.
        drawn: Uniform numbers ``[batch, DRAWS]``: see `tunebook.data.draws`.
        settings: How far. Where nothing may change, ``pixels`` itself is given back.
    """
    numbers = torch.from_numpy(drawn)
    pixels = _toned(pixels, numbers, settings)
    if settings.moves:
        grid = F.affine_grid(_places(numbers, settings, pixels).to(pixels), list(pixels.shape), align_corners=False)
        return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False).clamp_(0, 1)
    for dimension, mirrored in zip((3, 2), _mirrored(numbers, settings).unbind(1), strict=True):
        if mirrored.any():
            chosen = mirrored.to(pixels.device)[:, None, None, None]
            pixels = torch.where(chosen, pixels.flip(dimension), pixels)
    return pixels


def _toned(pixels: Tensor, drawn: Tensor, settings: Augmentation) -> Tensor:
    """Contrast and brightness."""
    if not settings.contrast and not settings.brightness:
        return pixels
    either_way = (2 * drawn - 1).to(pixels)[..., None, None, None]
    factor, added = 1 + settings.contrast * either_way[:, 6], settings.brightness * either_way[:, 7]
    mean = pixels.mean(dim=(1, 2, 3), keepdim=True)
    return torch.addcmul(mean * (1 - factor) + added, pixels, factor).clamp_(0, 1)


def _mirrored(drawn: Tensor, settings: Augmentation) -> Tensor:
    """Whether each image is mirrored from left to right, and from top to bottom, ``[batch, 2]``."""
    allowed = [settings.flip in ("horizontal", "both"), settings.flip in ("vertical", "both")]
    return (drawn[:, :2] < 0.5) & torch.tensor(allowed)


def _places(drawn: Tensor, settings: Augmentation, pixels: Tensor) -> Tensor:
    """Where each place of the result is in the image, as matrices ``[batch, 2, 3]`` for `affine_grid`.

    Places run from -1 to 1 along each side. An image is mirrored, made larger, turned (counter-clockwise) and moved,
    so that the way back from a place p is mirror(turn(-angle, p - shift) / size).
    """
    height, width = pixels.shape[-2:]
    either_way = 2 * drawn - 1
    angle = math.radians(settings.rotate) * either_way[:, 2]
    shift = 2 * settings.shift * either_way[:, 3:5, None]
    size = (1 + settings.zoom) ** either_way[:, 5]
    cosine, sine = angle.cos() / size, angle.sin() / size
    # Angles are kept among pixels, and a pixel is another share of the height than of the width.
    rows = [cosine, -sine * height / width, sine * width / height, cosine]
    matrix = torch.stack(rows, dim=1).view(-1, 2, 2)
    mirror = 1 - 2 * _mirrored(drawn, settings)[..., None].to(matrix)
    return mirror * torch.cat([matrix, -(matrix @ shift)], dim=2)
