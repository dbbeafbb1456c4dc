from __future__ import annotations

import io
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from tunebook.data.duplicates import clusters
from tunebook.families.image_classification.data.alike import PARTNERS, SIMILAR, find_alike
from tunebook.families.image_classification.data.decoded import DecodedImage
from tunebook.families.image_classification.data.fingerprints import pixel_digest, thumbnail
from tunebook.recipes.medical_diagnosis.synthetic import pictures  # noqa: TID251 (pictures to try this on)

DATA = Path(__file__).parents[5] / "shared" / "data"


def fingerprints(many: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    decoded = [DecodedImage(pixels, None) for pixels in many]
    digests = np.frombuffer(b"".join(pixel_digest(image) for image in decoded), np.uint8).reshape(-1, 16)
    return digests, np.stack([thumbnail(image) for image in decoded])


def distinct(n: int) -> np.ndarray:
    return np.arange(2 * n, dtype=np.uint64).view(np.uint8).reshape(n, 16)


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    with Image.open(stream) as opened:
        return np.asarray(opened)


def resized(pixels: np.ndarray, factor: float) -> np.ndarray:
    size = round(pixels.shape[1] * factor), round(pixels.shape[0] * factor)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def brightened(pixels: np.ndarray, factor: float) -> np.ndarray:
    return np.asarray(ImageEnhance.Brightness(Image.fromarray(pixels)).enhance(factor))


@pytest.mark.parametrize("kind", ["xray", "smear"])
def test_copies_are_found_and_other_patients_are_not(kind: str) -> None:
    drawn = list(pictures(kind, 80, size=128))
    originals = [picture.pixels for picture in drawn]
    patients = np.array([picture.patient for picture in drawn])
    copies = [
        copy
        for pixels in originals[:30]
        for copy in (jpeg(pixels, 50), resized(pixels, 0.5), brightened(pixels, 0.9), np.ascontiguousarray(pixels))
    ]
    found = find_alike(*fingerprints([*originals, *copies]))
    n = len(originals)
    pairs = set(zip(found.left.tolist(), found.right.tolist(), strict=True))
    for i in range(30):
        assert {(i, n + 4 * i), (i, n + 4 * i + 1), (i, n + 4 * i + 2)} <= pairs
        assert found.first[n + 4 * i + 3] == i
    owners = np.concatenate([patients, np.repeat(patients[:30], 4)])
    assert (owners[found.left] == owners[found.right]).all()
    assert (owners[clusters(found)] == owners).all()
    assert found.complete


def test_two_depths_of_an_xray_are_one_picture() -> None:
    deep = [picture.pixels for picture in pictures("xray", 10, size=128, bits=16)]
    found = find_alike(*fingerprints([*deep, *((pixels >> 4).astype(np.uint8) for pixels in deep)]))
    pairs = set(zip(found.left.tolist(), found.right.tolist(), strict=True))
    assert {(i, i + len(deep)) for i in range(len(deep))} <= pairs
    assert (found.first == np.arange(2 * len(deep))).all()


@pytest.mark.parametrize("threshold", [0.6, 0.9, 0.97])
def test_pairs_are_those_of_comparing_all_with_all(threshold: float) -> None:
    random = np.random.default_rng(1)
    scenes = np.stack([thumbnail(DecodedImage(picture.pixels, 255)) for picture in pictures("xray", 40, size=32)])
    thumbnails = scenes[random.integers(0, len(scenes), 300)].astype(float)
    thumbnails += random.normal(0, 1, (300, 32, 32)) * random.choice([3, 15, 40, 150], (300, 1, 1))
    thumbnails = np.clip(thumbnails, 0, 255).astype(np.uint8)
    digests = distinct(300)
    digests[50] = digests[200] = digests[7]  # a later equal is in no pair
    correlation = np.corrcoef(thumbnails.reshape(300, -1))
    correlation[[50, 200]] = correlation[:, [50, 200]] = -1
    expected = np.argwhere(np.triu(correlation >= threshold, 1))
    assert 50 < len(expected) < 300 * 299 / 2
    kept = [pair for right in range(300) for pair in expected[expected[:, 1] == right][:PARTNERS].tolist()]
    found = find_alike(digests, thumbnails, threshold)
    assert np.column_stack([found.left, found.right]).tolist() == sorted(kept)
    assert found.complete == (len(kept) == len(expected))
    assert found.similarity == pytest.approx(correlation[found.left, found.right], abs=1e-5)
    assert found.first.tolist() == [7 if i in (50, 200) else i for i in range(300)]


def test_a_threshold_of_one_finds_equal_ones_only() -> None:
    thumbnails = np.random.default_rng(0).integers(0, 256, (3, 32, 32), np.uint8)
    thumbnails[:] = thumbnails[0]
    digests = distinct(3)
    digests[2] = digests[0]
    found = find_alike(digests, thumbnails, 1.0)
    assert found.first.tolist() == [0, 1, 0]
    assert (len(found.left), len(found.right), len(found.similarity)) == (0, 0, 0)
    near = find_alike(digests, thumbnails)
    assert (near.left.tolist(), near.right.tolist(), near.similarity.tolist()) == ([0], [1], pytest.approx([1.0]))


@pytest.mark.filterwarnings("error")
def test_flat_pictures_are_like_none_but_their_equals() -> None:
    many = [np.full((40, 40), value, np.uint8) for value in (0, 0, 9, 255)]
    many += [np.full((20, 30), 0, np.uint8), next(pictures("xray", 1)).pixels]
    found = find_alike(*fingerprints(many), 0.5)
    assert found.first.tolist() == [0, 0, 2, 3, 4, 5]
    assert len(found.left) == 0
    assert found.complete


def test_nothing_is_in_no_pair() -> None:
    found = find_alike(np.zeros((0, 16), np.uint8), np.zeros((0, 32, 32), np.uint8))
    assert (len(found.first), len(found.left), found.complete) == (0, 0, True)


def test_frames_of_one_film_stay_together_and_are_said_to_be_cut_short() -> None:
    random = np.random.default_rng(0)
    scene = random.integers(20, 236, (1, 32, 32))
    frames = (scene + random.integers(-3, 4, (700, 32, 32))).astype(np.uint8)  # more than one block of rows
    found = find_alike(distinct(700), frames)
    assert not found.complete
    assert np.bincount(found.right).max() == PARTNERS
    for right in (1, 64, 65, 699):
        assert found.left[found.right == right].tolist() == list(range(min(right, PARTNERS)))
    assert (clusters(found) == 0).all()


def test_the_known_duplicates_of_pneumoniamnist_are_found() -> None:
    file = DATA / "pneumoniamnist" / "pneumoniamnist.npz"
    if not file.is_file():
        pytest.skip(f"PneumoniaMNIST is not at {file.parent}")
    with np.load(file) as arrays:
        parts = [arrays[f"{split}_images"] for split in ("train", "val", "test")]
    sides = np.repeat([0, 1, 2], [len(part) for part in parts])
    found = find_alike(*fingerprints([pixels for part in parts for pixels in part]))
    later = np.flatnonzero(found.first != np.arange(len(sides)))
    across = [(int(sides[found.first[i]]), int(sides[i])) for i in later]
    # Published: 18 within train, 8 of validation in train, 3 within test, none of test in train.
    assert sorted(across) == [(0, 0)] * 18 + [(0, 1)] * 8 + [(2, 2)] * 3
    assert len(found.left) == 0


def test_twenty_thousand_pictures_take_seconds_and_little_memory() -> None:
    n = 20_000
    thumbnails = np.random.default_rng(0).integers(0, 256, (n, 32, 32), np.uint8)
    thumbnails[-1] = thumbnails[0] // 2
    tracemalloc.start()
    began = time.perf_counter()
    found = find_alike(distinct(n), thumbnails, SIMILAR)
    took = time.perf_counter() - began
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.left.tolist(), found.right.tolist()) == ([0], [n - 1])
    assert peak < 8 * n * 1024  # twice the thumbnails as floats
    assert took < 30
