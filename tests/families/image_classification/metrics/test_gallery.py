from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tunebook.families.image_classification.metrics.gallery import COVER, GAP, SIDE, overlay, worst_mistakes
from tunebook.statistics.findings import FindingPredictions


def _predictions(target: list[list[int]], probabilities: list[list[float]]) -> FindingPredictions:
    names = [f"{i}.png" for i in range(len(target))]
    findings = tuple("abc"[: len(target[0])])
    lines = list(range(len(target)))
    return FindingPredictions(findings, np.array(target), np.array(probabilities), names, lines, names)


def test_the_surest_mistakes_come_first_and_each_row_once() -> None:
    predictions = _predictions(
        [[0, 0, 1], [1, 0, 0], [0, 1, 0], [1, 1, 1], [0, 0, 0]],
        [
            [0.70, 0.1, 0.05],  # wrong twice: by .7 and, more, by .95
            [0.90, 0.2, 0.30],  # right
            [0.20, 0.9, 0.60],  # wrong by .6
            [0.50, 0.8, 0.90],  # .5 is not beyond .5
            [0.95, 0.1, 0.96],  # wrong by .95 and .96
        ],
    )
    assert worst_mistakes(predictions, 10) == [(4, 2), (0, 2), (2, 2)]
    assert worst_mistakes(predictions, 2) == [(4, 2), (0, 2)]
    assert worst_mistakes(predictions, 0) == []


def test_rows_that_are_wrong_alike_keep_their_order() -> None:
    predictions = _predictions([[0], [1], [0]], [[0.75], [0.25], [0.75]])
    assert worst_mistakes(predictions, 2) == [(0, 0), (1, 0)]


def _halves(png: bytes) -> tuple[np.ndarray, np.ndarray]:
    drawn = np.asarray(Image.open(io.BytesIO(png)))
    width = (drawn.shape[1] - GAP) // 2
    return drawn[:, :width], drawn[:, width + GAP :]


def test_without_heat_both_halves_are_the_picture() -> None:
    pixels = np.arange(20, dtype=np.uint8).reshape(4, 5) * 12
    left, right = _halves(overlay(pixels, np.zeros((4, 5))))
    assert left.shape == (SIDE * 4 // 5, SIDE, 3)
    enlarged = np.kron(pixels, np.ones((SIDE // 5, SIDE // 5), np.uint8))
    assert np.array_equal(left, np.repeat(enlarged[..., None], 3, axis=2))
    assert np.array_equal(right, left)


def test_full_heat_covers_with_the_lightest_colour() -> None:
    pixels = np.full((40, 20, 3), (10, 200, 90), np.uint8)
    left, right = _halves(overlay(pixels, np.ones((40, 20), np.float32)))
    assert left.shape == (SIDE, SIDE // 2, 3)
    assert (left == (10, 200, 90)).all()
    lightest = np.array([0.988362, 0.998364, 0.644924]) * 255  # the last colour of inferno, as published
    assert right.reshape(-1, 3) == pytest.approx(
        np.tile((1 - COVER) * left[0, 0] + COVER * lightest, (SIDE * SIDE // 2, 1)), abs=0.51
    )


def test_heat_is_drawn_where_it_is() -> None:
    heat = np.zeros((32, 32))
    heat[20:28, 4:12] = 1
    left, right = _halves(overlay(np.zeros((32, 32), np.uint8), heat))
    scale = SIDE // 32
    changed = (right != left).any(2)
    assert changed[22 * scale : 26 * scale, 6 * scale : 10 * scale].all()
    assert not changed[: 18 * scale].any()
    assert not changed[:, 14 * scale :].any()


def test_a_large_or_narrow_picture_is_fitted() -> None:
    left, _ = _halves(overlay(np.full((1000, 640), 77, np.uint8), np.zeros((1000, 640))))
    assert left.shape == (SIDE, round(0.64 * SIDE), 3)
    assert (left == 77).all()
    narrow, _ = _halves(overlay(np.zeros((1, 900), np.uint8), np.zeros((1, 900))))
    assert narrow.shape == (1, SIDE, 3)


def test_heat_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"heat map \(3, 3\)"):
        overlay(np.zeros((4, 4), np.uint8), np.zeros((3, 3)))
