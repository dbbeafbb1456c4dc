"""What a picture is known again by: a digest of its pixels, a small grey copy, and the frequencies in it."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tunebook.families.image_classification.data.decoded import DecodedImage

SIDE = 32
"""Height and width of a thumbnail."""
_LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601)."""


def pixel_digest(image: DecodedImage) -> bytes:
    """16 bytes that are equal for equal pixels, whatever file they came in.

    A colour picture of nothing but greys has the digest of the grey picture. Depth and shape count.
    """
    pixels = image.pixels
    if not image.is_grey and (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 0] == pixels[..., 2]).all():
        pixels = pixels[..., 0]
    digest = hashlib.blake2b(f"{pixels.dtype.name} {pixels.shape}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<")).data)
    return digest.digest()


def thumbnail(image: DecodedImage) -> NDArray[np.uint8]:
    """A grey copy of the whole picture, ``[32, 32]``, its darkest pixel 0 and its brightest 255.

    Stretched like this, two depths or windows of one picture look alike. Proportions are not kept. Each pixel is a
    weighted mean of those beneath it (Pillow's bilinear filter); all 0 where the picture has one value only.
    """
    channels = [image.pixels] if image.is_grey else [image.pixels[..., i] for i in range(3)]
    weights = (1.0,) if image.is_grey else _LUMA
    small = sum(weight * _shrunk(channel) for weight, channel in zip(weights, channels, strict=True))
    low, high = float(np.min(small)), float(np.max(small))
    if high - low < 1e-3:  # of a grey level: rounding in the filter
        return np.zeros((SIDE, SIDE), np.uint8)
    return np.rint((small - low) * (255 / (high - low))).astype(np.uint8)


def _shrunk(channel: NDArray[Any]) -> NDArray[np.float32]:
    # As floats: a faint picture in 16 bits would be lost between two levels of 8.
    floats = Image.fromarray(channel.astype(np.float32))
    return np.asarray(floats.resize((SIDE, SIDE), Image.Resampling.BILINEAR), dtype=np.float32)


def spectra(thumbnails: NDArray[np.uint8], frequencies: int = SIDE) -> NDArray[np.float64]:
    """The lowest frequencies of each thumbnail, ``[pictures, frequencies, frequencies]``: its DCT-II, not scaled."""
    place = np.arange(SIDE) + 0.5
    cosines = np.cos(np.pi / SIDE * np.arange(frequencies)[:, None] * place)
    found: NDArray[np.float64] = cosines @ thumbnails.astype(np.float64) @ cosines.T
    return found
