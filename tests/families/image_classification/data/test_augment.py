from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from tunebook.data.draws import draws
from tunebook.families.image_classification.data.augment import DRAWS, Augmentation, augment

FLIP_X, FLIP_Y, ANGLE, RIGHT, DOWN, ZOOM, CONTRAST, BRIGHTNESS = range(DRAWS)


def _images(batch: int, channels: int = 3, height: int = 12, width: int = 12) -> torch.Tensor:
    return torch.rand(batch, channels, height, width, generator=torch.manual_seed(0))


def _drawn(batch: int = 1, **columns: float | list[float]) -> np.ndarray:
    """Numbers that change nothing but what is named: the middle of each range, and no mirror."""
    drawn = np.full((batch, DRAWS), 0.5)
    for name, values in columns.items():
        drawn[:, globals()[name]] = values
    return drawn


def test_without_settings_nothing_changes() -> None:
    images = _images(4)
    assert augment(images, draws(0, 0, np.arange(4), DRAWS), Augmentation()) is images


def test_draws_in_the_middle_change_nothing() -> None:
    images = _images(2)
    settings = Augmentation("both", rotate=20, shift=0.2, zoom=0.3, contrast=0.3, brightness=0.3)
    assert torch.allclose(augment(images, _drawn(2), settings), images, atol=1e-5)


@pytest.mark.parametrize("extra", [Augmentation(), Augmentation(rotate=10)])
def test_mirrors_are_exact_and_each_images_own(extra: Augmentation) -> None:
    images, before = _images(4, height=8, width=10), _images(4, height=8, width=10)
    drawn = _drawn(4, FLIP_X=[0.2, 0.9, 0.2, 0.9], FLIP_Y=[0.9, 0.2, 0.2, 0.9])
    dims = {"horizontal": [[3], [], [3], []], "vertical": [[], [2], [2], []], "both": [[3], [2], [2, 3], []]}
    for flip, mirrored in dims.items():
        expected = torch.stack([torch.flip(x[None], d)[0] for x, d in zip(images, mirrored, strict=True)])
        given = augment(images, drawn, Augmentation(flip, rotate=extra.rotate))
        if extra.moves:
            assert torch.allclose(given, expected, atol=1e-4)
        else:
            assert torch.equal(given, expected)
    assert torch.equal(images, before)


def test_a_quarter_turn_is_counter_clockwise() -> None:
    images = _images(2)
    given = augment(images, _drawn(2, ANGLE=[1.0, 0.0]), Augmentation(rotate=90))
    assert torch.allclose(given[0], torch.rot90(images[0], 1, (1, 2)), atol=1e-4)
    assert torch.allclose(given[1], torch.rot90(images[1], -1, (1, 2)), atol=1e-4)


@pytest.mark.parametrize("angle", [-25.0, 10.0, 25.0])
def test_turns_of_oblong_images_agree_with_torchvision(angle: float) -> None:
    images = _images(1, height=20, width=30)
    given = augment(images, _drawn(ANGLE=0.5 + angle / 50), Augmentation(rotate=25))
    bilinear = reference.InterpolationMode.BILINEAR
    assert torch.allclose(given, reference.rotate(images, angle, bilinear), atol=1e-4)


def test_a_shift_by_whole_pixels() -> None:
    images = torch.arange(1.0, 17.0).reshape(1, 1, 4, 4) / 16
    given = augment(images, _drawn(RIGHT=1.0, DOWN=0.25), Augmentation(shift=0.5))[0, 0]
    # Two pixels to the right and one up; black where nothing was.
    expected = torch.tensor([[0, 0, 5, 6], [0, 0, 9, 10], [0, 0, 13, 14], [0, 0, 0, 0]]) / 16
    assert torch.allclose(given, expected, atol=1e-5)


def test_zoom_agrees_with_torchvision_in_and_out() -> None:
    images = _images(2, height=16, width=24)
    given = augment(images, _drawn(2, ZOOM=[1.0, 0.0]), Augmentation(zoom=0.25))
    bilinear = reference.InterpolationMode.BILINEAR
    for image, result, scale in zip(images, given, (1.25, 1 / 1.25), strict=True):
        expected = reference.affine(image, 0.0, [0, 0], scale, [0.0, 0.0], interpolation=bilinear)
        assert torch.allclose(result, expected, atol=1e-4)


def test_a_mirror_comes_before_the_move() -> None:
    images = _images(1)
    settings = Augmentation("horizontal", rotate=30, shift=0.1, zoom=0.2)
    moved = {"ANGLE": 0.9, "RIGHT": 0.2, "DOWN": 0.7, "ZOOM": 0.8}
    both = augment(images, _drawn(FLIP_X=0.1, **moved), settings)
    assert torch.allclose(both, augment(images.flip(3), _drawn(**moved), settings), atol=1e-5)


@pytest.mark.parametrize("drawn,factor", [(1.0, 1.4), (0.0, 0.6)])
def test_contrast_agrees_with_torchvision(drawn: float, factor: float) -> None:
    images = _images(3, channels=1)
    given = augment(images, _drawn(3, CONTRAST=drawn), Augmentation(contrast=0.4))
    assert torch.allclose(given, reference.adjust_contrast(images, factor), atol=1e-6)


def test_brightness_is_added_and_clamped() -> None:
    images = torch.tensor([0.0, 0.3, 0.5, 0.9]).reshape(1, 1, 2, 2).repeat(2, 1, 1, 1)
    given = augment(images, _drawn(2, BRIGHTNESS=[1.0, 0.25]), Augmentation(brightness=0.4))
    assert given[0].flatten().tolist() == pytest.approx([0.4, 0.7, 0.9, 1.0])
    assert given[1].flatten().tolist() == pytest.approx([0.0, 0.1, 0.3, 0.7])


def test_black_beside_a_moved_image_stays_black() -> None:
    settings = Augmentation(shift=0.5, contrast=0.5, brightness=0.5)
    given = augment(_images(1), _drawn(RIGHT=1.0, BRIGHTNESS=1.0, CONTRAST=0.0), settings)
    assert given[..., :6].max() < 1e-5
    assert given[..., 6:].min() > 0


def test_rows_decide_and_not_the_batch() -> None:
    images, rows = _images(6), np.array([40, 7, 3, 1000, 8, 9])
    settings = Augmentation("both", rotate=20, shift=0.1, zoom=0.2, contrast=0.2, brightness=0.2)
    whole = augment(images, draws(5, 2, rows, DRAWS), settings)
    order = [4, 0, 3]
    part = augment(images[order], draws(5, 2, rows[order], DRAWS), settings)
    assert torch.allclose(part, whole[order], atol=1e-6)
    assert not torch.allclose(whole, augment(images, draws(5, 3, rows, DRAWS), settings), atol=0.01)
    assert whole.min() >= 0
    assert whole.max() <= 1


def test_an_unknown_mirror_is_refused() -> None:
    with pytest.raises(ValueError, match="flip must be one of"):
        Augmentation("sideways")
