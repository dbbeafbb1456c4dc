from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tunebook.families.image_classification.data.decoded import DecodedImage
from tunebook.families.image_classification.data.fingerprints import pixel_digest, thumbnail
from tunebook.recipes.medical_diagnosis.synthetic import pictures  # noqa: TID251 (pictures to try this on)


def decoded(pixels: np.ndarray) -> DecodedImage:
    return DecodedImage(pixels, None)


def test_equal_pixels_have_one_digest_in_any_file(tmp_path: Path) -> None:
    pixels = next(pictures("smear", 1)).pixels
    digests = set()
    for suffix in ("png", "bmp", "tiff"):
        Image.fromarray(pixels).save(tmp_path / f"smear.{suffix}")
        with Image.open(tmp_path / f"smear.{suffix}") as opened:
            digests.add(pixel_digest(decoded(np.asarray(opened))))
    assert len(digests) == 1
    assert len(digests.pop()) == 16


def test_a_grey_picture_in_three_channels_has_the_digest_of_the_grey_one() -> None:
    grey = next(pictures("xray", 1)).pixels
    colour = np.repeat(grey[:, :, None], 3, axis=2)
    assert pixel_digest(decoded(colour)) == pixel_digest(decoded(grey))
    colour[3, 5, 2] += 1
    assert pixel_digest(decoded(colour)) != pixel_digest(decoded(grey))


def test_what_is_not_equal_has_another_digest() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    one_off = pixels.copy()
    one_off[2, 3] ^= 1
    others = [pixels, one_off, pixels.reshape(6, 4), pixels.astype(np.uint16), pixels[::-1]]
    assert len({pixel_digest(decoded(other)) for other in others}) == 5


def test_the_digest_depends_neither_on_the_order_of_bytes_nor_on_strides() -> None:
    pixels = np.arange(1000, 1024, dtype=np.uint16).reshape(4, 6)
    wide = np.repeat(pixels, 2, axis=1)
    for same in (pixels.astype(">u2"), np.asfortranarray(pixels), wide[:, ::2]):
        assert pixel_digest(decoded(same)) == pixel_digest(decoded(pixels))


@pytest.mark.parametrize("shape", [(64, 64), (96, 32), (32, 128)])
def test_a_thumbnail_holds_the_whole_picture(shape: tuple[int, int]) -> None:
    pixels = np.zeros(shape, np.uint8)
    pixels[: shape[0] // 2, shape[1] // 2 :] = 200
    small = thumbnail(decoded(pixels))
    assert small.shape == (32, 32)
    assert small.dtype == np.uint8
    assert (small[:14, 18:] == 255).all()
    assert (small[18:] == 0).all()
    assert (small[:, :14] == 0).all()


def test_a_thumbnail_of_that_size_is_the_picture_itself_stretched() -> None:
    pixels = np.random.default_rng(0).integers(20, 120, (32, 32), np.uint8)
    low, high = int(pixels.min()), int(pixels.max())
    assert thumbnail(decoded(pixels)).tolist() == np.rint((pixels - low) * 255.0 / (high - low)).tolist()


def test_a_thumbnail_averages_as_pillow_does() -> None:
    drawn = next(pictures("smear", 1, size=128)).pixels
    theirs = np.asarray(Image.fromarray(drawn).convert("L").resize((32, 32), Image.Resampling.BILINEAR), dtype=float)
    ours = thumbnail(decoded(drawn))
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.999  # Pillow rounds to 8 bits twice


def test_depth_and_window_hardly_change_a_thumbnail() -> None:
    deep = next(pictures("xray", 1, bits=16, size=128)).pixels
    of_deep = thumbnail(decoded(deep)).astype(int)
    for other in ((deep >> 4).astype(np.uint8), (deep * 16).astype(np.uint16), (deep // 2 + 300).astype(np.uint16)):
        assert np.abs(thumbnail(decoded(other)) - of_deep).max() <= 1


def test_a_faint_picture_is_not_lost() -> None:
    faint = np.full((256, 256), 1000, np.uint16)
    faint[:128] += 3
    small = thumbnail(decoded(faint))
    assert (small.min(), small.max()) == (0, 255)


@pytest.mark.parametrize("value", [0, 1, 77, 65535])
def test_a_picture_of_one_value_has_an_empty_thumbnail(value: int) -> None:
    assert not thumbnail(decoded(np.full((301, 77), value, np.uint16))).any()
    assert not thumbnail(decoded(np.full((301, 77, 3), value % 256, np.uint8))).any()
