"""Pictures brought to a square: hand cases to the pixel, and Pillow's own scaling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.diagnosed import picture
from tunebook.families.image_classification.data.resize import FITS, INTERPOLATIONS, Square, resized

WIDE = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], dtype=np.uint8)


def grey(pixels: Any, square: Square) -> Any:
    made = resized(pixels, square)
    assert made.shape == (square.size, square.size, 1) and made.dtype == pixels.dtype
    return made[..., 0]


def test_pad_puts_black_on_both_sides_and_changes_no_pixel() -> None:
    expected = [[0, 0, 0, 0], [1, 2, 3, 4], [5, 6, 7, 8], [0, 0, 0, 0]]
    np.testing.assert_array_equal(grey(WIDE, Square(4, "pad")), expected)
    np.testing.assert_array_equal(grey(WIDE.T.copy(), Square(4, "pad")), np.transpose(expected))


def test_an_odd_row_of_padding_goes_below() -> None:
    three = np.array([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]], dtype=np.uint16)
    np.testing.assert_array_equal(grey(three, Square(4, "pad")), [*three.tolist(), [0, 0, 0, 0]])


def test_crop_takes_the_middle() -> None:
    np.testing.assert_array_equal(grey(WIDE, Square(2, "crop")), [[2, 3], [6, 7]])
    np.testing.assert_array_equal(grey(WIDE.T.copy(), Square(2, "crop")), [[2, 6], [3, 7]])


def test_stretch_keeps_all_and_changes_the_shape() -> None:
    np.testing.assert_array_equal(grey(WIDE, Square(4, "stretch", "nearest")), np.repeat(WIDE, 2, axis=0))
    colour = np.stack([WIDE, WIDE + 10, WIDE + 20], axis=-1)
    made = resized(colour, Square(4, "stretch", "nearest"))
    np.testing.assert_array_equal(made, np.repeat(colour, 2, axis=0))


def test_halving_by_bilinear_is_pillows_antialiased_mean() -> None:
    """A triangle of support 2: an inner pixel is 1/8, 3/8, 3/8, 1/8 of its four neighbours along each side."""
    pixels = picture(0, (16, 16))
    made = grey(pixels, Square(8, "stretch", "bilinear"))
    weights = np.array([1, 3, 3, 1]) / 8
    expected = weights @ pixels[5:9, 7:11].astype(float) @ weights
    assert made[3, 4] == pytest.approx(expected, abs=0.51 + 0.5)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("shape", [(40, 30), (30, 40), (17, 17), (7, 50)])
def test_grey_and_colour_are_scaled_as_pillow_scales_them(fit: str, interpolation: str, shape: tuple[int, int]) -> None:
    how = Image.Resampling[interpolation.upper()]
    for colour in (False, True):
        pixels = picture(1, shape)
        if colour:
            pixels = np.stack([pixels, picture(2, shape), picture(3, shape)], axis=-1)
        image = Image.fromarray(pixels)
        whole = Image.new(image.mode, (16, 16))
        if fit == "stretch":
            whole = image.resize((16, 16), how)
        elif fit == "crop":
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            whole = image.crop((left, top, left + side, top + side)).resize((16, 16), how)
        else:
            size = [max(1, round(side * 16 / max(image.size))) for side in image.size]
            inner = image.resize(tuple(size), how)
            whole.paste(inner, ((16 - inner.width) // 2, (16 - inner.height) // 2))
        made = resized(pixels, Square(16, fit, interpolation))
        np.testing.assert_array_equal(made if colour else made[..., 0], np.asarray(whole))


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_sixteen_bits_are_scaled_in_sixteen_bits(interpolation: str) -> None:
    deep = np.random.default_rng(0).integers(100, 4000, (30, 40), dtype=np.uint16)
    made = grey(deep, Square(16, "stretch", interpolation))
    how = Image.Resampling[interpolation.upper()]
    exact = np.asarray(Image.fromarray(deep.astype(np.float32)).resize((16, 16), how))
    np.testing.assert_allclose(made, np.clip(exact, deep.min(), deep.max()), atol=0.5 + 1e-3)
    assert len(np.unique(made)) > 200, "more values than 8 bits have"


def test_no_picture_leaves_its_own_range_when_it_grows() -> None:
    edge = np.zeros((8, 8), dtype=np.uint16)
    edge[:, 4:] = 65535
    made = grey(edge, Square(32, "stretch", "lanczos"))
    assert (made.min(), made.max()) == (0, 65535) and made[0, 0] == 0 and made[0, -1] == 65535


def test_a_line_is_never_thinner_than_a_pixel() -> None:
    made = grey(np.full((2, 900), 200, dtype=np.uint8), Square(16, "pad"))
    assert (made.max(axis=1) > 0).sum() == 1
