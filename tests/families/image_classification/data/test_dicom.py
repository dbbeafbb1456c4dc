from __future__ import annotations

import random
import struct
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_voi_lut
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.user_error import user_error
from tunebook.families.image_classification.data.decode import decode
from tunebook.families.image_classification.data.decoded import DecodedImage, Decoding, UnusableImage
from tunebook.families.image_classification.data.dicom import decode_dicom
from tunebook.families.image_classification.data.windows import looked_up, windowed

PLAIN = Decoding()
NAME, IDENTITY = "Doe^Jane^Q", "MRN-0042-7781"
RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 4096, (20, 30), dtype=np.uint16)
COLOUR = RANDOM.integers(0, 256, (20, 30, 3), dtype=np.uint8)
SMOOTH = np.dstack([np.add.outer(np.arange(20), np.arange(30)) * k for k in (5, 3, 2)]).astype(np.uint8)


def dicom(
    path: Path, pixels: np.ndarray | None, syntax: Any = ExplicitVRLittleEndian, data: bytes | None = None, **tags: Any
) -> Path:
    """A DICOM file of one patient; `tags` replace what is worked out from the pixels, and None leaves one out."""
    file = Dataset()
    file.PatientName, file.PatientID, file.PatientBirthDate = NAME, IDENTITY, "19470229"
    file.StudyDescription = f"follow-up of {NAME}"
    if pixels is not None:
        file.Rows, file.Columns = pixels.shape[:2]
        file.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
        file.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
        if pixels.ndim == 3:
            file.PlanarConfiguration = 0
        file.BitsAllocated = 8 * pixels.dtype.itemsize
        file.BitsStored = tags.pop("BitsStored", file.BitsAllocated)
        file.HighBit = file.BitsStored - 1
        file.PixelRepresentation = int(pixels.dtype.kind == "i")
        file.PixelData = pixels.tobytes() if data is None else data
        file["PixelData"].VR = "OW" if file.BitsAllocated > 8 or syntax.is_implicit_VR else "OB"
        file["PixelData"].is_undefined_length = syntax.is_compressed and not syntax.is_deflated
    for name, value in tags.items():
        if value is None:
            delattr(file, name)
        else:
            setattr(file, name, value)
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = syntax
    file.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    file.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    file.save_as(path, enforce_file_format=True)
    return path


def read(path: Path, window: tuple[float, float] | None = None) -> DecodedImage:
    image = decode(path, Decoding(window=window))
    assert image.peak == (65535 if image.pixels.dtype == np.uint16 else 255)
    return image


def reason(path: Path, decoding: Decoding = PLAIN) -> str:
    with pytest.raises(UnusableImage) as caught:
        decode(path, decoding)
    told = str(caught.value)
    assert not any(secret in told for secret in ("Doe", "Jane", "MRN", "0042", "1947", str(path.parent)))
    assert caught.value.__cause__ is None  # a traceback would show what pydicom quoted
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return told


def test_signed_ct_values_are_rescaled_and_seen_through_its_window(tmp_path: Path) -> None:
    stored = np.array([[-1024, 0, 764], [864, 1024, 1064], [1224, 1264, 3071]], np.int16)
    path = dicom(
        tmp_path / "a.dcm",
        stored,
        RescaleSlope=1,
        RescaleIntercept=-1024,
        WindowCenter=[40, -600],
        WindowWidth=[400, 9],
    )
    # Hounsfield units -2048, -1024, -260, -160, 0, 40, 200, 240, 2047; PS3.3 C.11.2.1.2: (x - 39.5) / 399 + 0.5
    expected = [0, 0, 0, 0, 160 / 399, 200 / 399, 360 / 399, 1, 1]
    np.testing.assert_array_equal(read(path).pixels.ravel(), np.rint(np.array(expected) * 65535))
    lung = [0, np.clip((-1024 + 600.5) / 1499 + 0.5, 0, 1), *((x + 600.5) / 1499 + 0.5 for x in (-260, -160, 0, 40))]
    found = read(path, (-600, 1500)).pixels.ravel()
    np.testing.assert_array_equal(found[:6], np.rint(np.array(lung) * 65535))
    assert found[6:].tolist() == [65535] * 3


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_windows_agree_with_pydicom(tmp_path: Path, function: str, syntax: Any) -> None:
    path = dicom(
        tmp_path / "a.dcm", GREY, syntax, BitsStored=12, WindowCenter=1900, WindowWidth=1234.5, VOILUTFunction=function
    )
    reference = apply_voi_lut(GREY, pydicom.dcmread(path)) / 4095
    np.testing.assert_array_equal(read(path).pixels, np.rint(reference * 65535))


def test_without_a_window_the_whole_range_of_the_bits_is_shown(tmp_path: Path) -> None:
    unsigned = dicom(tmp_path / "a.dcm", GREY, BitsStored=12)
    np.testing.assert_array_equal(read(unsigned).pixels, np.rint(GREY / 4095 * 65535))
    signed = dicom(tmp_path / "b.dcm", GREY.astype(np.int16) - 2048, BitsStored=12, RescaleSlope=2, RescaleIntercept=9)
    np.testing.assert_array_equal(read(signed).pixels, np.rint(GREY / 4095 * 65535))
    byte = dicom(tmp_path / "c.dcm", COLOUR[..., 0])
    np.testing.assert_array_equal(read(byte).pixels, COLOUR[..., 0].astype(int) * 257)
    falling = dicom(tmp_path / "d.dcm", GREY, BitsStored=12, RescaleSlope=-1, RescaleIntercept=4095)
    np.testing.assert_array_equal(read(falling).pixels, np.rint((4095 - GREY.astype(int)) / 4095 * 65535))


def test_what_lies_in_the_unused_bits_does_not_count(tmp_path: Path) -> None:
    drawn = GREY | (np.uint16(0xF000) * (GREY % 2)).astype(np.uint16)
    path = dicom(tmp_path / "a.dcm", drawn, BitsStored=12)
    np.testing.assert_array_equal(read(path).pixels, np.rint(GREY / 4095 * 65535))


def test_monochrome1_is_turned(tmp_path: Path) -> None:
    plain = dicom(tmp_path / "a.dcm", GREY, BitsStored=12, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(read(plain).pixels, np.rint((1 - GREY / 4095) * 65535))
    path = dicom(
        tmp_path / "b.dcm",
        GREY,
        BitsStored=12,
        PhotometricInterpretation="MONOCHROME1",
        WindowCenter=2048,
        WindowWidth=4096,
    )
    np.testing.assert_array_equal(read(path).pixels, np.rint((1 - GREY / 4095) * 65535))


def test_the_narrowest_window_is_a_threshold() -> None:
    np.testing.assert_array_equal(windowed(np.array([9.0, 9.5, 9.51, 10, 11]), 10, 1), [0, 0, 1, 1, 1])


def table(first: int, bits: int, entries: list[int]) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS", [len(entries), first, bits])
    item.add_new("LUTData", "OW", np.array(entries, "<u2").tobytes())
    return item


def test_lookup_tables_of_values_and_of_brightness(tmp_path: Path) -> None:
    stored = np.array([[0, 5, 6], [7, 300, 65535]], np.uint16)
    path = dicom(tmp_path / "a.dcm", stored, VOILUTSequence=[table(5, 8, [10, 20, 200])])
    np.testing.assert_array_equal(read(path).pixels, np.array([[10, 10, 20], [200, 200, 200]]) * 257)
    # 0, 5 -> 100; 6 -> 500; 7 and more -> 900; then the window 500 / 801: (x - 499.5) / 800 + 0.5
    path = dicom(
        tmp_path / "b.dcm",
        stored,
        ModalityLUTSequence=[table(5, 10, [100, 500, 900])],
        WindowCenter=500,
        WindowWidth=801,
    )
    shown = np.rint(np.array([0.5 / 800, 400.5 / 800, 1]) * 65535)
    np.testing.assert_array_equal(read(path).pixels, shown[[[0, 0, 1], [2, 2, 2]]])
    path = dicom(tmp_path / "c.dcm", stored, VOILUTSequence=[table(5, 8, [10, 20, 300])])
    assert reason(path) == "has a lookup table whose entries do not fit its 8 bits"


def test_a_lookup_table_that_is_shorter_than_it_says_is_refused() -> None:
    with pytest.raises(UnusableImage, match="truncated lookup table: 2 of 3 entries"):
        looked_up(np.arange(3), (3, 0, 16), [1, 2])


def test_a_lookup_table_of_no_entries_has_65536() -> None:
    entries = np.arange(65536)[::-1].astype("<u2")
    found, bits = looked_up(np.array([-3, 0, 7, 65535, 70000]), (0, 0, 16), entries.tobytes())
    assert (found.tolist(), bits) == ([65535, 65535, 65528, 0, 0], 16)


def test_colour_comes_back_as_rgb(tmp_path: Path) -> None:
    for name, planar, pixels in (("a", 0, COLOUR), ("b", 1, COLOUR.transpose(2, 0, 1))):
        path = dicom(tmp_path / f"{name}.dcm", COLOUR, data=pixels.tobytes(), PlanarConfiguration=planar)
        np.testing.assert_array_equal(read(path).pixels, COLOUR)
    ybr = np.asarray(Image.fromarray(SMOOTH).convert("YCbCr"))
    path = dicom(tmp_path / "c.dcm", ybr, PhotometricInterpretation="YBR_FULL")
    assert np.abs(read(path).pixels.astype(int) - SMOOTH).max() <= 2  # YCbCr of 8 bits has fewer colours


def test_a_palette_becomes_colour(tmp_path: Path) -> None:
    index = RANDOM.integers(0, 4, (20, 30), dtype=np.uint8)
    colours = np.array([[0, 90, 7], [255, 3, 80], [12, 250, 255], [128, 1, 60]])
    for name, factor, bits in (("a", 257, 16), ("b", 1, 8)):
        parts: dict[str, Any] = {}
        for channel, colour in enumerate(("Red", "Green", "Blue")):
            parts[f"{colour}PaletteColorLookupTableDescriptor"] = [4, 0, bits]
            parts[f"{colour}PaletteColorLookupTableData"] = (colours[:, channel] * factor).astype("<u2").tobytes()
        path = dicom(tmp_path / f"{name}.dcm", index, PhotometricInterpretation="PALETTE COLOR", **parts)
        np.testing.assert_array_equal(read(path).pixels, colours[index])
    path = dicom(tmp_path / "c.dcm", index, PhotometricInterpretation="PALETTE COLOR")
    assert reason(path) == "has a segmented palette, or none: convert it to RGB"


def encoded(pixels: np.ndarray, kind: str, **options: Any) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return encapsulate([stream.getvalue()])


def test_compressed_pixels_are_those_that_went_in(tmp_path: Path) -> None:
    expected = np.rint(GREY / 4095 * 65535)
    path = dicom(tmp_path / "a.dcm", GREY, BitsStored=12)
    packed = pydicom.dcmread(path)
    packed.compress(RLELossless, generate_instance_uid=False)
    packed.save_as(path)
    np.testing.assert_array_equal(read(path).pixels, expected)
    stream = encoded(GREY, "JPEG2000", no_jp2=True, irreversible=False)
    path = dicom(tmp_path / "b.dcm", GREY, JPEG2000Lossless, stream)
    np.testing.assert_array_equal(read(path).pixels, GREY)
    stream = encoded(SMOOTH, "JPEG", quality=95, subsampling=0)
    path = dicom(tmp_path / "c.dcm", SMOOTH, JPEGBaseline8Bit, stream, PhotometricInterpretation="YBR_FULL_422")
    assert np.abs(read(path).pixels.astype(int) - SMOOTH).max() <= 8


def test_names_without_an_ending_are_read_when_the_file_says_dicm(tmp_path: Path) -> None:
    expected = np.rint(GREY / 4095 * 65535)
    for name in ("IM-0001-0007", "1.2.840.113619.2.5", "a.DICOM"):
        np.testing.assert_array_equal(read(dicom(tmp_path / name, GREY, BitsStored=12)).pixels, expected)
    assert reason(dicom(tmp_path / "a.png", GREY)) == "is a DICOM file named .png"


def test_other_files_named_dcm(tmp_path: Path) -> None:
    text, picture = tmp_path / "a.dcm", tmp_path / "b.dcm"
    text.write_text("PatientName: nobody\n" * 20)
    assert reason(text) == "is text, not an image"
    Image.fromarray(COLOUR).save(picture, "PNG")
    assert reason(picture) == "is a PNG file named .dcm"
    with pytest.raises(UnusableImage, match=r"^is not a DICOM file$"):
        decode_dicom(text, PLAIN)


BROKEN: dict[str, tuple[np.ndarray | None, dict[str, Any], str]] = {
    "no pixels": (None, {}, "has no pixel data, or is truncated before it"),
    "only a size": (None, {"Rows": 20, "Columns": 30}, "has no pixel data, or is truncated before it"),
    "constant": (GREY * 0 + 3, {}, "has the same value everywhere"),
    "outside": (
        GREY,
        {"WindowCenter": -9000, "WindowWidth": 2},
        "has the same value everywhere after the window is applied",
    ),
    "frames": (GREY, {"NumberOfFrames": 12}, "holds 12 frames: split it first"),
    "more frames than said": (GREY, {"Rows": 10}, "holds 2 frames: split it first"),
    "enhanced": (GREY, {"SharedFunctionalGroupsSequence": [Dataset()]}, "is an enhanced DICOM file"),
    "huge": (
        GREY,
        {"Rows": 65535, "Columns": 65535},
        "declares 65535 x 65535 pixels, more than data.max_pixels=89478485",
    ),
    "fewer pixels than said": (GREY, {"Rows": 21}, "is truncated"),
    "16-bit colour": (np.dstack([GREY] * 3), {}, "has 16 bits a channel, more than is supported"),
    "32 bits": (GREY.astype(np.uint32), {}, "has 32 bits a pixel, more than is supported"),
    "HSV": (COLOUR, {"PhotometricInterpretation": "HSV"}, "is HSV of 3 samples a pixel: convert it to MONOCHROME2"),
    "high bit": (GREY, {"BitsStored": 12, "HighBit": 15}, "keeps its values in the middle of their bytes"),
    "no window": (GREY, {"WindowCenter": 40, "WindowWidth": 0}, "has an invalid window (centre 40, width 0)"),
    "function": (
        GREY,
        {"WindowCenter": 4, "WindowWidth": 9, "VOILUTFunction": "CUBIC"},
        "has a window with a function",
    ),
    "no kind": (GREY, {"PhotometricInterpretation": None}, "is not a readable DICOM file (AttributeError)"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_shown_says_why_and_never_whose_it_is(tmp_path: Path, case: str) -> None:
    pixels, tags, expected = BROKEN[case]
    assert reason(dicom(tmp_path / "a.dcm", pixels, **tags)).startswith(expected)


def test_a_number_that_is_none_is_refused_without_a_word_of_it(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm", GREY, WindowCenter="1234567.5", WindowWidth=400)
    path.write_bytes(path.read_bytes().replace(b"1234567.5", b"Doe^Jane "))
    assert reason(path) == "is not a readable DICOM file (ValueError)"


@pytest.mark.parametrize(
    ("syntax", "expected"),
    [
        (JPEGLSLossless, "is compressed as JPEG-LS Lossless Image Compression; to decode it: pip install pylibjpeg "),
        (JPEGLosslessSV1, "is compressed as JPEG Lossless, Non-Hierarchical, First-Order Prediction"),
        (MPEG2MPML, "is compressed as MPEG2 Main Profile / Main Level, which is not supported: save it uncompressed"),
        (DeflatedExplicitVRLittleEndian, "is packed as Deflated Explicit VR Little Endian: save it unpacked"),
    ],
)
def test_compression_without_a_decoder_is_named(tmp_path: Path, syntax: Any, expected: str) -> None:
    from pydicom.pixels.decoders.base import get_decoder

    if syntax in (JPEGLSLossless, JPEGLosslessSV1) and get_decoder(syntax).is_available:
        pytest.skip(f"something installed decodes {syntax.name}")
    path = dicom(tmp_path / "a.dcm", GREY, syntax, encapsulate([b"\xff\xd8\xff\xf7" + bytes(60)]))
    assert reason(path).startswith(expected)


def test_a_file_cut_short_anywhere_is_never_a_picture(tmp_path: Path) -> None:
    stream = encoded(SMOOTH[..., 0], "JPEG", quality=95)
    for name, path in (
        ("native", dicom(tmp_path / "a.dcm", GREY)),
        ("JPEG", dicom(tmp_path / "b.dcm", SMOOTH[..., 0], JPEGBaseline8Bit, stream)),
    ):
        whole = path.read_bytes()
        assert read(path).pixels.shape == (20, 30)
        start = whole.index(b"\xe0\x7f\x10\x00")
        for end in (140, 200, start - 20, start, start + 12, start + 30, (start + len(whole)) // 2, len(whole) - 20):
            path.write_bytes(whole[:end])
            told = reason(path)
            assert end < start + 12 or told == "is truncated", (name, end)


def test_damaged_bytes_give_a_picture_or_a_reason_and_nothing_else(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm", GREY[:5, :5], WindowCenter=40, WindowWidth=400, RescaleSlope=1, RescaleIntercept=0)
    whole, draw, reasons = path.read_bytes(), random.Random(0), 0
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            damaged[draw.randrange(128, len(damaged))] = draw.randrange(256)
        path.write_bytes(bytes(damaged))
        try:
            decode(path, Decoding(max_pixels=10_000))
        except UnusableImage as unusable:
            reasons += 1
            assert "Doe" not in str(unusable) and "Jane" not in str(unusable) and IDENTITY[:6] not in str(unusable)
    assert reasons


def test_threads_decode_what_one_does_and_no_warning_gets_out(tmp_path: Path) -> None:
    padded = dicom(tmp_path / "padded.dcm", GREY, data=GREY.tobytes() + bytes(40))
    with pytest.warns(UserWarning, match="excess padding"):
        assert pydicom.dcmread(padded).pixel_array.shape == GREY.shape
    paths = [padded, *(dicom(tmp_path / f"{i}.dcm", np.roll(GREY, i)) for i in range(5))]
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda path: read(path).pixels, paths * 20))
    for number, pixels in enumerate(found):
        np.testing.assert_array_equal(pixels, np.roll(GREY, max(0, number % 6 - 1)))
    assert list(warnings.filters) == before


def test_a_window_that_cannot_be_is_a_mistake_of_the_user(tmp_path: Path) -> None:
    with user_error("config.out-of-range", match="a window cannot be 0 wide"):
        decode(dicom(tmp_path / "a.dcm", GREY), Decoding(window=(40, 0)))


def test_without_pydicom_other_files_are_read_and_dicom_says_what_to_install(tmp_path: Path) -> None:
    dicom(tmp_path / "a.dcm", GREY)
    Image.fromarray(COLOUR).save(tmp_path / "b.png")
    program = """
import sys
from pathlib import Path

sys.modules["pydicom"] = None  # what an import finds where a package is not installed
from tunebook.families.image_classification.data.decode import decode
from tunebook.families.image_classification.data.decoded import Decoding
from tunebook.errors import UserError

assert decode(Path("b.png"), Decoding()).pixels.shape == (20, 30, 3)
try:
    decode(Path("a.dcm"), Decoding())
except UserError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "DICOM files are read with pydicom, which is not installed" in done.stdout
    assert 'pip install "pydicom>=3"' in done.stdout


def test_sixteen_bits_of_the_standards_header_are_read_in_either_order_of_bytes(tmp_path: Path) -> None:
    big = tmp_path / "a.dcm"
    elements = [
        (0x0028, 0x0002, b"US", struct.pack(">H", 1)),
        (0x0028, 0x0004, b"CS", b"MONOCHROME2 "),
        (0x0028, 0x0010, b"US", struct.pack(">H", 20)),
        (0x0028, 0x0011, b"US", struct.pack(">H", 30)),
        (0x0028, 0x0100, b"US", struct.pack(">H", 16)),
        (0x0028, 0x0101, b"US", struct.pack(">H", 16)),
        (0x0028, 0x0102, b"US", struct.pack(">H", 15)),
        (0x0028, 0x0103, b"US", struct.pack(">H", 0)),
    ]
    body = b"".join(struct.pack(">HH2sH", group, tag, kind, len(v)) + v for group, tag, kind, v in elements)
    body += struct.pack(">HH2sHI", 0x7FE0, 0x0010, b"OW", 0, GREY.nbytes) + GREY.astype(">u2").tobytes()
    syntax = b"1.2.840.10008.1.2.2\0"
    meta = struct.pack("<HH2sH", 2, 0x10, b"UI", len(syntax)) + syntax
    big.write_bytes(bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta)) + meta + body)
    np.testing.assert_array_equal(read(big).pixels, GREY)
