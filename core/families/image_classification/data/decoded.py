"""What a file of pixels becomes, and what makes it unusable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


class UnusableImage(Exception):
    """A picture that cannot be used; the text is the reason, and completes "the image ..."."""


MOST_PIXELS = 89_478_485
"""Pixels of the largest picture that is decoded unless the config says otherwise: Pillow's own limit."""


@dataclass(frozen=True)
class Decoding:
    """How the values in a file become a picture; a bundle stores it.

    Attributes:
        window: Centre and width that a DICOM file's values are shown with (default: the file's own window, or the
            whole range of values that it can hold).
        max_pixels: Largest picture that is decoded, in pixels.
    """

    window: tuple[float, float] | None = None
    max_pixels: int = MOST_PIXELS


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """The pixels of one picture, in the depth of its file.

    Attributes:
        pixels: ``[height, width]`` of a grey picture, ``[height, width, 3]`` of a colour one; uint8 or uint16.
        peak: Value of full brightness: 255 of 8 bits, 65535 of a windowed DICOM file; None of 16-bit files, which
            do not say how many of their bits they use.
    """

    pixels: NDArray[Any]
    peak: int | None

    @property
    def is_grey(self) -> bool:
        """Whether there is one channel."""
        return self.pixels.ndim == 2


def refuse_large(width: int, height: int, decoding: Decoding) -> None:
    """Refuse a picture of more pixels than are decoded."""
    if width * height > decoding.max_pixels:
        raise UnusableImage(f"declares {width} x {height} pixels, more than data.max_pixels={decoding.max_pixels}")


def refuse_constant(pixels: NDArray[Any], when: str = "") -> None:
    """Refuse a picture without anything in it; ``when`` says under which conditions that is so."""
    # a few pixels distinguish almost all pictures, at a fraction of the time
    if (pixels[::16, ::16] == pixels[0, 0]).all() and (pixels == pixels[0, 0]).all():
        raise UnusableImage("has the same value everywhere" + when)
