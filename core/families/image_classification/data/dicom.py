"""DICOM files as pixels: values rescaled, seen through a window, brighter where the picture is brighter.

Only the elements that describe the pixels are read, never those of the patient.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.errors import UserError
from tunebook.families.image_classification.data.decoded import (
    DecodedImage,
    Decoding,
    UnusableImage,
    refuse_constant,
    refuse_large,
)
from tunebook.families.image_classification.data.quiet import quiet_libraries
from tunebook.families.image_classification.data.windows import looked_up, windowed

_LAYOUT = [
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "SharedFunctionalGroupsSequence",
]
_MEANING = [
    "RescaleSlope",
    "RescaleIntercept",
    "ModalityLUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "VOILUTSequence",
    *(
        f"{colour}PaletteColorLookupTable{part}"
        for colour in ("Red", "Green", "Blue")
        for part in ("Descriptor", "Data")
    ),
]
_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_PIXEL_DATA = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")  # the tag (7FE0,0010) in either order of bytes


def decode_dicom(path: Path, decoding: Decoding) -> DecodedImage:
    """Read a DICOM file of one picture; safe to call from several threads.

    Grey values are rescaled to their unit and then shown through ``decoding.window``, else the file's first window
    with the function it names, else its VOI lookup table, else the whole range that its bits can hold; MONOCHROME1
    is turned so that more is brighter. The result is uint16 with a peak of 65535. Colour of 8 bits and palettes
    become RGB in uint8.

    Raises:
        UnusableImage: The file is damaged, holds no picture or several, or nothing installed decodes it.
        UserError: pydicom 3 is not installed, or ``decoding.window`` is impossible.
    """
    try:
        import pydicom.pixels  # noqa: F401
    except ImportError:
        raise UserError(
            "DICOM files are read with pydicom, which is not installed",
            code="package.missing",
            where=str(path),
            fix='pip install "pydicom>=3"',
        ) from None
    if decoding.window and not decoding.window[1] >= 1:
        raise UserError(
            f"a window cannot be {decoding.window[1]:g} wide",
            code="config.out-of-range",
            fix="give a width of at least 1",
        )
    try:
        with quiet_libraries():
            pixels = _decoded(path, decoding)
    except (UnusableImage, ImportError):
        raise
    except Exception as error:
        # pydicom raises anything on broken bytes; its words may quote them, and they may be a patient's
        raise UnusableImage(f"is not a readable DICOM file ({type(error).__name__})") from None
    return DecodedImage(pixels, 255 if pixels.dtype == np.uint8 else 65535)


def _decoded(path: Path, decoding: Decoding) -> NDArray[Any]:
    from pydicom import dcmread

    syntax = _readable_syntax(path)
    with path.open("rb") as stream:
        header = dcmread(stream, stop_before_pixels=True, specific_tags=[*_LAYOUT])
        _refuse(header, stream.read(4) in _PIXEL_DATA, decoding)
    file = dcmread(path, specific_tags=[*_LAYOUT, *_MEANING, "PixelData"])
    if "PixelData" not in file:
        raise UnusableImage("is truncated")
    stored = _stored(file, syntax)
    refuse_constant(stored)
    order = "<" if syntax.is_little_endian else ">"
    if file.PhotometricInterpretation in _COLOUR:
        return stored
    if file.PhotometricInterpretation == "PALETTE COLOR":
        return _palette_colours(stored, file, order)
    shown = _shown(stored, file, order, decoding)
    refuse_constant(shown, " after the window is applied")
    return shown


def _readable_syntax(path: Path) -> Any:
    """The transfer syntax of a file, when something installed decodes it."""
    from pydicom.errors import InvalidDicomError
    from pydicom.filereader import read_file_meta_info
    from pydicom.pixels.decoders.base import get_decoder

    try:
        syntax = read_file_meta_info(path).get("TransferSyntaxUID")
    except InvalidDicomError:
        raise UnusableImage("is not a DICOM file") from None
    if not syntax:
        raise UnusableImage("has no transfer syntax")
    if syntax.is_deflated:  # its whole content would be unpacked, whatever its size, before anything is known
        raise UnusableImage(f"is packed as {syntax.name}: save it unpacked")
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        raise UnusableImage(f"is compressed as {syntax.name}, which is not supported: save it uncompressed") from None
    if not available:
        raise UnusableImage(f"is compressed as {syntax.name}; to decode it: {_decoder_packages(syntax)}")
    return syntax


def _decoder_packages(syntax: Any) -> str:
    plugin = "pylibjpeg-openjpeg" if "2000" in syntax.name else "pylibjpeg-libjpeg"
    return f"pip install pylibjpeg {plugin}" + ("" if "High-Throughput" in syntax.name else " (or python-gdcm)")


def _refuse(header: Any, has_pixels: bool, decoding: Decoding) -> None:
    """Refuse by the header alone, before the pixels are read."""
    if not has_pixels or "Rows" not in header or "Columns" not in header:
        raise UnusableImage("has no pixel data, or is truncated before it")
    refuse_large(int(header.Columns), int(header.Rows), decoding)
    frames = int(header.get("NumberOfFrames") or 1)
    if frames > 1:
        raise UnusableImage(f"holds {frames} frames: split it first")
    if "SharedFunctionalGroupsSequence" in header:  # rescaling and window lie elsewhere, one for each frame
        raise UnusableImage("is an enhanced DICOM file: convert it to a classic one, of one frame")
    kind, samples = header.PhotometricInterpretation, int(header.get("SamplesPerPixel", 1))
    if kind not in (*_GREY, *_COLOUR, "PALETTE COLOR") or samples != (3 if kind in _COLOUR else 1):
        raise UnusableImage(f"is {kind} of {samples} samples a pixel: convert it to MONOCHROME2 or RGB")
    stored = int(header.BitsStored)
    if not 1 <= stored <= (8 if kind in _COLOUR else 16) or (kind in _COLOUR and int(header.BitsAllocated) != 8):
        raise UnusableImage(f"has {stored} bits a {'channel' if samples > 1 else 'pixel'}, more than is supported")
    if int(header.get("HighBit", stored - 1)) != stored - 1:
        raise UnusableImage("keeps its values in the middle of their bytes (HighBit is not BitsStored - 1)")


def _stored(file: Any, syntax: Any) -> NDArray[Any]:
    """The values as they are stored, ``[height, width]``, or RGB ``[height, width, 3]``."""
    from pydicom.pixels.utils import pixel_array

    try:
        pixels = pixel_array(file)
    except Exception as error:
        text = str(error)
        if any(words in text for words in ("less than expected", "truncated", "end of file", "No frame")):
            raise UnusableImage("is truncated") from None
        if syntax.is_compressed:
            raise UnusableImage(
                f"is compressed as {syntax.name} and could not be decoded: it is damaged, or needs another decoder: "
                f"{_decoder_packages(syntax)}"
            ) from None
        raise
    if pixels.shape[:2] != (file.Rows, file.Columns) or pixels.ndim > 3:
        raise UnusableImage(f"holds {len(pixels)} frames: split it first")
    return np.asarray(pixels)


def _palette_colours(stored: NDArray[Any], file: Any, order: str) -> NDArray[np.uint8]:
    planes = []
    for colour in ("Red", "Green", "Blue"):
        name = f"{colour}PaletteColorLookupTable"
        if f"{name}Data" not in file:
            raise UnusableImage("has a segmented palette, or none: convert it to RGB")
        entries, bits = looked_up(
            stored.astype(np.int64), file[f"{name}Descriptor"].value, file[f"{name}Data"].value, order
        )
        planes.append((entries >> max(bits - 8, 0)).astype(np.uint8))
    return np.stack(planes, axis=-1)


def _shown(stored: NDArray[Any], file: Any, order: str, decoding: Decoding) -> NDArray[np.uint16]:
    """Grey as it is meant to be seen; worked out once for each value that the bits can hold."""
    bits = int(file.BitsStored)
    low = -(1 << (bits - 1)) if file.PixelRepresentation else 0
    values = np.arange(low, low + (1 << bits))
    brightness = _brightness(values, file, order, decoding)
    if file.PhotometricInterpretation == "MONOCHROME1":
        brightness = 1 - brightness
    table = np.rint(brightness * 65535).astype(np.uint16)
    return np.asarray(table[np.clip(stored.astype(np.int32), low, values[-1]) - low])


def _brightness(values: NDArray[np.int64], file: Any, order: str, decoding: Decoding) -> NDArray[np.float64]:
    """Brightness from 0 to 1 of every stored value, in ascending order of the values."""
    measured: NDArray[Any]
    if file.get("ModalityLUTSequence"):
        item = file.ModalityLUTSequence[0]
        measured, bits = looked_up(values, item.LUTDescriptor, item.LUTData, order)
        low, high = 0.0, float((1 << bits) - 1)
    else:
        slope, intercept = _number(file, "RescaleSlope", 1.0), _number(file, "RescaleIntercept", 0.0)
        measured = values * slope + intercept
        low, high = float(measured.min()), float(measured.max())
    center, width = decoding.window or (_number(file, "WindowCenter"), _number(file, "WindowWidth"))
    if not np.isnan([center, width]).any():
        function = "LINEAR" if decoding.window else file.get("VOILUTFunction") or "LINEAR"
        return windowed(measured.astype(np.float64), center, width, str(function).upper())
    if file.get("VOILUTSequence"):
        item = file.VOILUTSequence[0]
        entries, bits = looked_up(np.rint(measured).astype(np.int64), item.LUTDescriptor, item.LUTData, order)
        return np.asarray(entries / ((1 << bits) - 1))
    return np.asarray((measured - low) / (high - low or 1))


def _number(file: Any, keyword: str, otherwise: float = np.nan) -> float:
    """The first number of an element; ``otherwise`` where there is none."""
    value = file.get(keyword)
    if value is None or value == "" or (not isinstance(value, (str, float, int)) and not len(value)):
        return otherwise
    number = float(value if isinstance(value, (str, float, int)) else value[0])
    if not np.isfinite(number):
        raise UnusableImage(f"has a {keyword} that is not a number")
    return number
