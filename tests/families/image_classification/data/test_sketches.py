"""Copies of pictures are known again by their sketches, and other pictures are not taken for them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.user_error import user_error
from tunebook.families.image_classification.data.decoded import DecodedImage
from tunebook.families.image_classification.data.fingerprints import thumbnail
from tunebook.families.image_classification.data.sketches import (
    BITS,
    FILE,
    copies,
    read_sketches,
    sketches,
    write_sketches,
)


def pictures(count: int, seed: int, side: int = 96) -> list[Image.Image]:
    """Smooth grey pictures, all of one shape, with details of their own."""
    draw = np.random.default_rng(seed)
    across = np.linspace(-1, 1, side)
    shape = np.exp(-(across[:, None] ** 2) - across**2) * 150
    made = []
    for _ in range(count):
        details = Image.fromarray(draw.normal(0, 45, (12, 12)).astype(np.float32)).resize((side, side), 3)
        made.append(Image.fromarray(np.clip(shape + np.asarray(details) + 50, 0, 255).astype(np.uint8)))
    return made


def seen(images: list[Image.Image]) -> np.ndarray:
    return np.stack([thumbnail(DecodedImage(np.asarray(image), 255)) for image in images])


def as_jpeg(image: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=50)
    return Image.open(stream)


def test_rescaled_and_re_encoded_copies_are_found_and_other_pictures_are_not() -> None:
    known, others = pictures(300, 0), pictures(300, 1)
    changed = {
        "JPEG": [as_jpeg(each) for each in known],
        "half the size": [each.resize((48, 48), Image.Resampling.BILINEAR) for each in known],
        "twice the size": [each.resize((192, 192), Image.Resampling.BICUBIC) for each in known],
        "brighter": [each.point(lambda value: min(255, round(value * 1.05))) for each in known],
    }
    stored = sketches(seen(known))
    assert copies(stored, stored).tolist() == list(range(300))
    assert copies(sketches(seen(others)), stored).tolist() == []
    for way, images in changed.items():
        assert len(copies(sketches(seen(images)), stored)) >= 294, way


def test_bits_differ_as_the_angle_between_two_pictures() -> None:
    draw = np.random.default_rng(0)
    one, two = draw.normal(size=(2, 32, 32))
    mixed = np.stack(
        [one, 0.8 * one + 0.6 * two]
    )  # of correlation 0.8, about, so that arccos(0.8)/pi of the bits differ
    scaled = np.rint((mixed - mixed.min()) * (255 / (mixed.max() - mixed.min()))).astype(np.uint8)
    flat = scaled.reshape(2, -1)
    expected = np.arccos(np.corrcoef(flat)[0, 1]) / np.pi * BITS
    bits = np.unpackbits(sketches(scaled), axis=1)
    assert (bits[0] != bits[1]).sum() == pytest.approx(expected, abs=4 * 13)  # a binomial: sqrt(1024 * 0.2 * 0.8) = 13


def test_a_picture_that_shows_nothing_is_no_copy() -> None:
    flat = np.zeros((2, 32, 32), np.uint8)
    assert not sketches(flat).any()
    assert copies(sketches(flat), sketches(flat)).tolist() == []
    assert copies(sketches(flat), sketches(flat[:0])).tolist() == []


def test_what_a_bundle_holds_comes_back_or_is_refused(tmp_path: Path) -> None:
    assert read_sketches(tmp_path).shape == (0, 128)
    write_sketches(tmp_path, seen(pictures(5, 0)))
    assert read_sketches(tmp_path).shape == (5, 128)
    for wrong in (np.zeros((3, 5), np.uint8), np.zeros(128, np.uint8), np.zeros((3, 128))):
        np.save(tmp_path / FILE, wrong)
        with user_error("bundle.damaged", where=str(tmp_path / FILE)):
            read_sketches(tmp_path)
    (tmp_path / FILE).write_bytes(b"nothing")
    with user_error("bundle.damaged"):
        read_sketches(tmp_path)
