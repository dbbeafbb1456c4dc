from __future__ import annotations

import os
import random
import struct
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from tunebook.families.image_classification.data.decode import decode, decode_array
from tunebook.families.image_classification.data.decoded import DecodedImage, Decoding, UnusableImage
from tunebook.families.image_classification.data.endings import IMAGE_ENDINGS
from tunebook.families.image_classification.data.quiet import quiet_libraries

PLAIN = Decoding()
RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (24, 32), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (24, 32, 3), dtype=np.uint8)
DEEP = RANDOM.integers(0, 65536, (24, 32), dtype=np.uint16)


def read(path: Path) -> DecodedImage:
    return decode(path, PLAIN)


def reason(path: Path, decoding: Decoding = PLAIN) -> str:
    with pytest.raises(UnusableImage) as caught:
        decode(path, decoding)
    assert str(path.parent) not in str(caught.value)
    return str(caught.value)


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def packed(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG by the specification: `rows` are the scanlines, each after its filter byte 0."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def scanlines(samples: np.ndarray) -> bytes:
    return b"".join(b"\0" + row.tobytes() for row in samples)


def tiff(samples: np.ndarray, photometric: int, bits: int, order: str = "<", sign: int = 1) -> bytes:
    """An uncompressed TIFF 6.0 file of one strip, byte by byte."""
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    pixels = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    at = 8 + 2 + 10 * 12 + 4
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, channels, at if channels == 3 else bits),
        (259, 3, 1, 1),
        (262, 3, 1, photometric),
        (273, 4, 1, at + 6),
        (277, 3, 1, channels),
        (278, 4, 1, height),
        (279, 4, 1, len(pixels)),
        (339, 3, 1, sign),
    ]
    entries = b"".join(
        struct.pack(f"{order}HHI", tag, kind, count)
        + (struct.pack(f"{order}HH", value, 0) if kind == 3 and count == 1 else struct.pack(f"{order}I", value))
        for tag, kind, count, value in tags
    )
    start = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    listed = struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}I", 0)
    return start + listed + struct.pack(f"{order}HHH", bits, bits, bits) + pixels


@pytest.mark.parametrize("ending", ["png", "tif", "tiff", "bmp"])
@pytest.mark.parametrize("pixels", [GREY, COLOUR])
def test_files_without_loss_come_back_bit_by_bit(tmp_path: Path, ending: str, pixels: np.ndarray) -> None:
    image = read(saved(tmp_path / f"A.{ending.upper()}", Image.fromarray(pixels)))
    np.testing.assert_array_equal(image.pixels, pixels)
    assert (image.pixels.dtype, image.peak, image.is_grey) == (np.uint8, 255, pixels.ndim == 2)


def test_webp_and_jpeg_are_what_pillow_decodes(tmp_path: Path) -> None:
    np.testing.assert_array_equal(
        read(saved(tmp_path / "a.webp", Image.fromarray(COLOUR), lossless=True)).pixels, COLOUR
    )
    for name, pixels in (("a.jpg", GREY), ("b.jpeg", COLOUR)):
        path = saved(tmp_path / name, Image.fromarray(pixels))
        with Image.open(path) as image:
            np.testing.assert_array_equal(read(path).pixels, np.asarray(image))


def test_a_palette_becomes_colour_and_a_grey_palette_grey(tmp_path: Path) -> None:
    index = RANDOM.integers(0, 4, (10, 12), dtype=np.uint8)
    for name, table in (
        ("a.png", [[9, 8, 7], [250, 0, 3], [1, 200, 5], [0, 0, 0]]),
        ("b.png", [[g, g, g] for g in (7, 255, 3, 90)]),
    ):
        image = Image.fromarray(index)
        image.putpalette([value for colour in table for value in colour])
        assert image.mode == "P"
        found = read(saved(tmp_path / name, image)).pixels
        expected = np.array(table, np.uint8)[index]
        np.testing.assert_array_equal(found, expected if name == "a.png" else expected[..., 0])


def test_one_two_and_four_bits_fill_the_range_of_eight(tmp_path: Path) -> None:
    bits = np.array([[0b10110000], [0b01100000]], np.uint8)
    one = read(written(tmp_path / "a.png", png(4, 2, 1, 0, scanlines(bits))))
    np.testing.assert_array_equal(one.pixels, [[255, 0, 255, 255], [0, 255, 255, 0]])
    two = read(written(tmp_path / "b.png", png(4, 1, 2, 0, scanlines(np.array([[0b00011011]], np.uint8)))))
    np.testing.assert_array_equal(two.pixels, [[0, 85, 170, 255]])
    four = read(written(tmp_path / "c.png", png(2, 1, 4, 0, scanlines(np.array([[0x2F]], np.uint8)))))
    np.testing.assert_array_equal(four.pixels, [[34, 255]])
    assert one.peak == two.peak == four.peak == 255
    black_on_white = saved(tmp_path / "d.tif", Image.fromarray(GREY > 99))
    np.testing.assert_array_equal(read(black_on_white).pixels, np.where(GREY > 99, 255, 0))


@pytest.mark.parametrize(
    "content",
    [
        ("a.png", png(32, 24, 16, 0, scanlines(DEEP.astype(">u2")))),
        ("a.tif", tiff(DEEP, 1, 16, "<")),
        ("b.tif", tiff(DEEP, 1, 16, ">")),
    ],
)
def test_sixteen_bits_of_grey_stay_sixteen(tmp_path: Path, content: tuple[str, bytes]) -> None:
    image = read(written(tmp_path / content[0], content[1]))
    np.testing.assert_array_equal(image.pixels, DEEP)
    assert (image.pixels.dtype, image.pixels.dtype.isnative, image.peak) == (np.uint16, True, None)


def test_where_zero_is_white_the_picture_is_turned(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(written(tmp_path / "a.tif", tiff(GREY, 0, 8))).pixels, 255 - GREY)
    np.testing.assert_array_equal(read(written(tmp_path / "b.tif", tiff(DEEP, 0, 16))).pixels, 65535 - DEEP)


def test_wide_integers_are_kept_while_sixteen_bits_hold_them(tmp_path: Path) -> None:
    wide = DEEP.astype(np.int32)
    image = read(saved(tmp_path / "a.tif", Image.fromarray(wide)))
    np.testing.assert_array_equal(image.pixels, DEEP)
    assert image.pixels.dtype == np.uint16
    wide[0, 0], wide[0, 1] = -5, 70000
    found = reason(saved(tmp_path / "b.tif", Image.fromarray(wide)))
    assert found == "has values from -5 to 70000, outside 0 to 65535"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.tif", "a.png"])
def test_the_orientation_of_the_camera_is_applied(tmp_path: Path, orientation: int, name: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / name, Image.fromarray(COLOUR), exif=exif)
    plain = saved(tmp_path / f"plain-{name}", Image.fromarray(COLOUR))
    with Image.open(plain) as image:
        stored = np.asarray(image)
    # Exif 2.3, 4.6.4 A: which sides of the scene row 0 and column 0 are
    turned = [
        stored,
        stored[:, ::-1],
        stored[::-1, ::-1],
        stored[::-1],
        stored.swapaxes(0, 1),
        np.rot90(stored, -1),
        stored[::-1, ::-1].swapaxes(0, 1),
        np.rot90(stored),
    ]
    np.testing.assert_array_equal(read(path).pixels, turned[orientation - 1])


def test_broken_metadata_do_not_cost_a_picture(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", Image.fromarray(COLOUR), exif=b"Exif\0\0nonsense that is no directory")
    with Image.open(saved(tmp_path / "b.jpg", Image.fromarray(COLOUR))) as image:
        np.testing.assert_array_equal(read(path).pixels, np.asarray(image))


def test_a_phones_jpeg_with_a_second_picture_behind_is_its_first(tmp_path: Path) -> None:
    first, second = Image.fromarray(COLOUR), Image.fromarray(COLOUR[::2, ::2])
    path = written(tmp_path / "a.jpg", packed(first, "MPO", save_all=True, append_images=[second]))
    with Image.open(path) as image:
        assert image.format == "MPO"
        np.testing.assert_array_equal(read(path).pixels, np.asarray(image))


def test_an_alpha_channel_that_hides_nothing_is_dropped_and_another_refused(tmp_path: Path) -> None:
    opaque = np.full((24, 32), 255, np.uint8)
    holed = opaque.copy()
    holed[3, 4] = 254
    for ending in ("png", "tif", "webp"):
        picture = np.dstack([COLOUR, opaque])
        options = {"lossless": True} if ending == "webp" else {}
        found = read(saved(tmp_path / f"a.{ending}", Image.fromarray(picture), **options))
        np.testing.assert_array_equal(found.pixels, COLOUR)
        hidden = np.dstack([COLOUR, holed])
        assert reason(saved(tmp_path / f"b.{ending}", Image.fromarray(hidden), **options)) == "has transparent parts"
    grey = read(saved(tmp_path / "c.png", Image.fromarray(np.dstack([GREY, opaque]))))
    np.testing.assert_array_equal(grey.pixels, GREY)
    assert reason(saved(tmp_path / "d.png", Image.fromarray(np.dstack([GREY, holed])))) == "has transparent parts"


def test_a_transparent_colour_counts_only_where_it_occurs(tmp_path: Path) -> None:
    rows, deep = scanlines(GREY), scanlines(DEEP.astype(">u2"))
    absent = next(value for value in range(65536) if value not in DEEP)
    cases = [(rows, 8, int(GREY[0, 0]), False), (deep, 16, int(DEEP[5, 5]), False), (deep, 16, absent, True)]
    for number, (content, depth, value, usable) in enumerate(cases):
        named = chunk(b"tRNS", struct.pack(">H", value))
        path = written(tmp_path / f"{number}.png", png(32, 24, depth, 0, content, named))
        if usable:
            np.testing.assert_array_equal(read(path).pixels, DEEP)
        else:
            assert reason(path) == "has transparent parts"


def several(kind: str, **options: Any) -> Callable[[], bytes]:
    frames = [Image.fromarray(np.roll(COLOUR, shift, axis=0)) for shift in range(3)]
    return lambda: packed(frames[0], kind, save_all=True, append_images=frames[1:], **options)


DEEP_COLOUR = np.dstack([DEEP, DEEP[::-1], DEEP[:, ::-1]])
BROKEN: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "zero bytes": ("a.png", lambda: b"", "is empty (0 bytes)"),
    "text": ("a.png", lambda: b"BM not an image\n", "is text, not an image"),
    "web page": ("a.jpg", lambda: "<html>é</html>\n".encode() * 99, "is text, not an image"),
    "Git LFS": ("a.tif", lambda: b"version https://git-lfs.github.com/spec/v1\noid", "is a Git LFS pointer"),
    "noise": ("a.webp", lambda: bytes(range(255)), "is not a WebP file"),
    "JPEG named .png": ("a.png", lambda: packed(Image.fromarray(GREY), "JPEG"), "is a JPEG file named .png"),
    "GIF named .png": ("a.png", lambda: packed(Image.fromarray(GREY), "GIF"), "is a GIF file named .png"),
    "GIF": ("a.gif", lambda: packed(Image.fromarray(GREY), "GIF"), "is named .gif; the endings read are .png"),
    "no ending": ("scan", lambda: packed(Image.fromarray(GREY), "PNG"), "has no ending that names its format"),
    "CMYK JPEG": ("a.jpg", lambda: packed(Image.new("CMYK", (9, 9)), "JPEG"), "is CMYK: convert it to RGB"),
    "CMYK TIFF": ("a.tif", lambda: packed(Image.new("CMYK", (9, 9)), "TIFF"), "is CMYK: convert it to RGB"),
    "LAB TIFF": ("a.tif", lambda: packed(Image.new("LAB", (9, 9)), "TIFF"), "is LAB: convert it to RGB"),
    "float TIFF": ("a.tif", lambda: packed(Image.new("F", (9, 9)), "TIFF"), "has floating-point values"),
    "16-bit RGB PNG": (
        "a.png",
        lambda: png(32, 24, 16, 2, scanlines(DEEP_COLOUR.astype(">u2"))),
        "has 16 bits in each of several channels",
    ),
    "16-bit grey PNG with alpha": (
        "a.png",
        lambda: png(32, 24, 16, 4, scanlines(DEEP_COLOUR[..., :2].astype(">u2"))),
        "has 16 bits in each of several channels",
    ),
    "16-bit RGB TIFF": ("a.tif", lambda: tiff(DEEP_COLOUR, 2, 16), "has 16 bits in each of several channels"),
    "signed TIFF": ("a.tif", lambda: tiff(GREY.view(np.int8), 1, 8, sign=2), "has signed 8-bit values"),
    "animated PNG": ("a.png", several("PNG"), "holds 3 pictures (animated)"),
    "animated WebP": ("a.webp", several("WEBP"), "holds 3 pictures (animated)"),
    "TIFF of pages": ("a.tif", several("TIFF"), "holds 3 pages"),
    "constant": ("a.png", lambda: packed(Image.new("RGB", (9, 9), (1, 2, 3)), "PNG"), "has the same value everywhere"),
    "huge PNG": (
        "a.png",
        lambda: png(60000, 60000, 8, 0, b"\0"),
        "declares 60000 x 60000 pixels, more than data.max_pixels=89478485",
    ),
    "large TIFF": (
        "a.tif",
        lambda: tiff(GREY, 1, 8).replace(struct.pack("<I", 32), struct.pack("<I", 9999999), 1),
        "declares 9999999 x 24 pixels, more than data.max_pixels=89478485",
    ),
    "bad TIFF": ("a.tif", lambda: tiff(GREY, 77, 8), "cannot be read: unknown pixel mode"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_kept_as_it_is_says_why(tmp_path: Path, case: str) -> None:
    name, content, expected = BROKEN[case]
    assert reason(written(tmp_path / name, content())).startswith(expected)


def test_a_size_between_pillows_warning_and_its_error_is_ours_to_judge(tmp_path: Path) -> None:
    path = written(tmp_path / "a.png", png(10000, 9000, 8, 0, b"\0"))
    assert reason(path) == "declares 10000 x 9000 pixels, more than data.max_pixels=89478485"
    small = saved(tmp_path / "b.png", Image.fromarray(GREY))
    assert reason(small, Decoding(max_pixels=767)) == "declares 32 x 24 pixels, more than data.max_pixels=767"
    assert decode(small, Decoding(max_pixels=768)).pixels.shape == (24, 32)
    assert reason(path, Decoding(max_pixels=10**9)) == "is truncated"  # Pillow's own limit does not speak


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "bmp", "webp"])
def test_a_file_cut_short_anywhere_is_never_a_picture(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # as some libraries leave it
    whole = saved(tmp_path / f"whole.{ending}", Image.fromarray(COLOUR)).read_bytes()
    for share in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97):
        path = written(tmp_path / f"cut.{ending}", whole[: int(len(whole) * share)])
        assert reason(path)
    if ending in ("png", "jpg", "bmp"):
        assert reason(path) == "is truncated"
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_changed_pixels_of_a_png_are_noticed(tmp_path: Path) -> None:
    rows = zlib.compress(scanlines(GREY), level=0)  # stored as they are, so that one byte is one pixel
    whole = png(32, 24, 8, 0, b"").replace(chunk(b"IDAT", zlib.compress(b"")), chunk(b"IDAT", rows))
    np.testing.assert_array_equal(read(written(tmp_path / "a.png", whole)).pixels, GREY)
    place = whole.index(GREY[7].tobytes()) + 3
    changed = whole[:place] + bytes([whole[place] ^ 64]) + whole[place + 1 :]
    assert reason(written(tmp_path / "b.png", changed)).startswith("cannot be read")


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "bmp", "webp"])
def test_damaged_bytes_give_a_picture_or_a_reason_and_nothing_else(tmp_path: Path, ending: str) -> None:
    whole = saved(tmp_path / f"whole.{ending}", Image.fromarray(COLOUR[:9, :9])).read_bytes()
    draw = random.Random(0)
    outcomes = set()
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        path = written(tmp_path / f"a.{ending}", bytes(damaged))
        try:
            found = decode(path, Decoding(max_pixels=10_000)).pixels
            outcomes.add(str(found.dtype))
        except UnusableImage as unusable:
            outcomes.add("reason")
            assert str(unusable) and str(tmp_path) not in str(unusable)
    assert "reason" in outcomes


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    assert reason(tmp_path / "a.png") == "cannot be opened: Is a directory"
    assert reason(tmp_path / "b.png") == "cannot be opened: No such file or directory"
    locked = saved(tmp_path / "c.png", Image.fromarray(GREY))
    locked.chmod(0)
    if os.access(locked, os.R_OK):
        pytest.skip("this user may read every file")
    assert reason(locked) == "cannot be opened: Permission denied"


def test_every_ending_that_counts_as_an_image_is_read(tmp_path: Path) -> None:
    for ending in IMAGE_ENDINGS:
        assert not reason(written(tmp_path / f"a{ending}", b"\x00\x01\x02")).startswith("is named")


def test_threads_decode_what_one_does_and_no_warning_of_a_library_gets_out(tmp_path: Path) -> None:
    no_frames = chunk(b"acTL", struct.pack(">II", 0, 0))
    warns = written(tmp_path / "warns.png", png(32, 24, 8, 0, scanlines(GREY), no_frames))
    with pytest.warns(UserWarning, match="Invalid APNG"):
        Image.open(warns).close()
    paths = [warns, written(tmp_path / "broken.png", warns.read_bytes()[:300])]
    paths += [saved(tmp_path / f"{i}.jpg", Image.fromarray(np.roll(COLOUR, i, axis=1))) for i in range(6)]

    def outcome(path: Path) -> bytes:
        try:
            return read(path).pixels.tobytes()
        except UnusableImage as unusable:
            return str(unusable).encode()

    before = list(warnings.filters)
    alone = [outcome(path) for path in paths]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(outcome, paths * 25)) == alone * 25
    assert alone[0] == GREY.tobytes()
    assert list(warnings.filters) == before


def test_only_the_libraries_are_quiet() -> None:
    with quiet_libraries():
        warnings.warn_explicit("odd metadata", UserWarning, "x.py", 1, module="PIL.TiffImagePlugin")
        with pytest.warns(UserWarning, match="something else"):
            warnings.warn("something else", stacklevel=1)
    with pytest.warns(UserWarning, match="odd metadata"):
        warnings.warn_explicit("odd metadata", UserWarning, "x.py", 1, module="PIL.TiffImagePlugin")


def test_arrays_are_taken_as_they_are() -> None:
    for array, peak in ((GREY, 255), (COLOUR, 255), (DEEP, None), (DEEP.astype(">u2"), None)):
        image = decode_array(array, PLAIN)
        np.testing.assert_array_equal(image.pixels, array)
        assert image.peak == peak and image.pixels.dtype.isnative


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (GREY.astype(np.int64), "is of type int64: save it as uint8 or uint16"),
        (GREY / 255, "is of type float64: save it as uint8 or uint16"),
        (GREY > 3, "is of type bool: save it as uint8 or uint16"),
        (GREY[0], "is of shape [32], not [height, width] or [height, width, 3]"),
        (GREY[..., None], "is of shape [24, 32, 1], not [height, width] or [height, width, 3]"),
        (COLOUR[None], "is of shape [1, 24, 32, 3], not [height, width] or [height, width, 3]"),
        (GREY[:0], "is of shape [0, 32], not [height, width] or [height, width, 3]"),
        (GREY * 0 + 7, "has the same value everywhere"),
        (np.zeros((40, 40), np.uint8), "declares 40 x 40 pixels, more than data.max_pixels=1000"),
    ],
)
def test_arrays_that_are_no_pictures(array: np.ndarray, expected: str) -> None:
    with pytest.raises(UnusableImage) as caught:
        decode_array(array, Decoding(max_pixels=1000))
    assert str(caught.value) == expected


def test_a_jpeg_that_is_painted_over_and_over_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    whole = packed(Image.fromarray(noise), "JPEG", progressive=True)
    path = tmp_path / "a.jpg"
    path.write_bytes(whole)
    assert read(path).pixels.shape == (64, 64, 3)
    last, end = whole.rindex(b"\xff\xda"), whole.rindex(b"\xff\xd9")
    path.write_bytes(whole[:end] + whole[last:end] * 1000 + whole[end:])
    assert "scans, where pictures have about ten" in reason(path)
