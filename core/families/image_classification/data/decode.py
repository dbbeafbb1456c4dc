"""Image files and arrays as pixels, in their own depth; what is damaged or doubtful is refused with a reason.

Nothing is repaired: a file that is truncated, or holds several pictures, would otherwise become a picture
that nobody has looked at.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ExifTags import Base
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    PHOTOMETRIC_INTERPRETATION,
    SAMPLEFORMAT,
    TiffImageFile,
)
from PIL.WebPImagePlugin import WebPImageFile

from tunebook.families.image_classification.data.decoded import (
    DecodedImage,
    Decoding,
    UnusableImage,
    refuse_constant,
    refuse_large,
)
from tunebook.families.image_classification.data.dicom import decode_dicom
from tunebook.families.image_classification.data.endings import IMAGE_ENDINGS, is_image_file
from tunebook.families.image_classification.data.quiet import quiet_libraries

__all__ = ["IMAGE_ENDINGS", "decode", "decode_array", "is_image_file"]

_FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".webp": "WebP",
    ".dcm": "DICOM",
    ".dicom": "DICOM",
}
# The classes themselves: Image.open warns of large pictures before their size can be read, and takes a phone's JPEG
# with a second, smaller picture behind the first for another format.
_READERS: dict[str, type[ImageFile.ImageFile]] = {
    "PNG": PngImageFile,
    "JPEG": JpegImageFile,
    "TIFF": TiffImageFile,
    "BMP": BmpImageFile,
    "WebP": WebPImageFile,
}
_SIGNATURES = (
    ("DICOM", 128, b"DICM"),
    ("PNG", 0, b"\x89PNG\r\n\x1a\n"),
    ("JPEG", 0, b"\xff\xd8\xff"),
    ("TIFF", 0, b"II*\0"),
    ("TIFF", 0, b"MM\0*"),
    ("TIFF", 0, b"II+\0"),
    ("TIFF", 0, b"MM\0+"),
    ("WebP", 8, b"WEBP"),
    ("BMP", 0, b"BM"),
    ("GIF", 0, b"GIF8"),
    ("JPEG 2000", 4, b"jP  "),
    ("HEIC or AVIF", 4, b"ftyp"),
    ("PDF", 0, b"%PDF"),
    ("gzip", 0, b"\x1f\x8b"),
    ("zip", 0, b"PK\x03\x04"),
)
_MOST_SCANS = 40  # of a progressive JPEG, with those of the previews within
_HEAD = 512  # bytes; every signature lies within
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(path: Path, decoding: Decoding) -> DecodedImage:
    """Read one image file whole; safe to call from several threads.

    PNG, JPEG, TIFF, BMP, WebP and DICOM are read, by the file's ending; a file without one, or whose ending is a
    number, may be DICOM. Colour palettes become colours, one bit becomes 8-bit grey, an opaque alpha channel is
    dropped, and the orientation that a camera noted is applied. 16-bit grey stays 16-bit grey.

    Raises:
        UnusableImage: The file is damaged, of another format than its ending says, too large, or holds what cannot
            be kept as it is: several pictures, transparent parts, 16-bit colour, other than grey and RGB.
        UserError: It is DICOM and pydicom is not installed.
    """
    head = _head(path)
    kind = _format(path, head)
    if kind == "DICOM":
        return decode_dicom(path, decoding)
    # A switch of the whole process, which some libraries turn: with it half a picture is a picture.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with quiet_libraries(), path.open("rb") as stream, _READERS[kind](stream) as image:
            _refuse(image, kind, head, decoding)
            if kind == "JPEG":
                _refuse_scans(path)
            image.load()
            pixels = _pixels(_upright(image))
            if kind == "TIFF" and pixels.dtype == np.uint16 and image.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == 0:  # type: ignore[attr-defined]
                pixels = 65535 - pixels  # 0 is white; Pillow turns 8 bits, and not 16
    except UnusableImage:
        raise
    except Exception as error:  # Pillow raises anything on broken bytes
        raise UnusableImage(_reason(error)) from None
    refuse_constant(pixels)
    return DecodedImage(pixels, 255 if pixels.dtype == np.uint8 else None)


def decode_array(array: NDArray[Any], decoding: Decoding) -> DecodedImage:
    """One picture of an array file: uint8 or uint16, ``[height, width]`` or ``[height, width, 3]``.

    Raises:
        UnusableImage: It is of another type or shape, too large, or the same value everywhere.
    """
    if array.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        raise UnusableImage(f"is of type {array.dtype}: save it as uint8 or uint16")
    if array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)) or not array.size:
        shape = ", ".join(map(str, array.shape))
        raise UnusableImage(f"is of shape [{shape}], not [height, width] or [height, width, 3]")
    refuse_large(array.shape[1], array.shape[0], decoding)
    refuse_constant(array)
    pixels = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    return DecodedImage(pixels, 255 if pixels.dtype == np.uint8 else None)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        raise UnusableImage(f"cannot be opened: {error.strerror or 'operating system error'}") from None
    if not head:
        raise UnusableImage("is empty (0 bytes)")
    return head


def _format(path: Path, head: bytes) -> str:
    """The format that both the ending and the first bytes name."""
    ending = path.suffix.lower()
    named = _FORMATS.get(ending)
    found = [kind for kind, start, mark in _SIGNATURES if head[start:].startswith(mark)]
    if named in found:
        return str(named)
    if not ending.strip(".0123456789"):  # DICOM files are often called like the numbers in them
        if "DICOM" in found:
            return "DICOM"
        raise UnusableImage("has no ending that names its format, and is not DICOM")
    if not named:
        raise UnusableImage(f"is named {ending}; the endings read are {', '.join(_FORMATS)}")
    if head.startswith(b"version https://git-lfs"):
        raise UnusableImage("is a Git LFS pointer, not an image: git lfs pull fetches the image")
    if _is_text(head):
        raise UnusableImage("is text, not an image")
    raise UnusableImage(f"is a {found[0]} file named {ending}" if found else f"is not a {named} file")


def _is_text(head: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # the head may end within a character
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\r\n\ufeff" for character in text)


def _refuse(image: Any, kind: str, head: bytes, decoding: Decoding) -> None:
    """Refuse by the header alone, before anything is decoded."""
    width, height = image.size
    refuse_large(width, height, decoding)
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise UnusableImage(f"holds {frames} " + ("pages" if kind == "TIFF" else "pictures (animated)"))
    if image.mode not in ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "I", "F") and (
        not image.mode.startswith("I;16")
    ):
        raise UnusableImage(f"is {image.mode}: convert it to RGB")
    if image.mode == "F":
        raise UnusableImage("has floating-point values: save them as 8 or 16 bits")
    # Pillow gives these without a word with half of their bits, or without their sign.
    bits = image.tag_v2.get(BITSPERSAMPLE, (1,)) if kind == "TIFF" else (8,)
    if (kind == "PNG" and head[24] == 16 and head[25] != 0) or (len(bits) > 1 and max(bits) > 8):
        raise UnusableImage("has 16 bits in each of several channels: save it as 8-bit colour or as 16-bit grey")
    if kind == "TIFF" and 2 in image.tag_v2.get(SAMPLEFORMAT, (1,)) and max(bits) <= 8:
        raise UnusableImage("has signed 8-bit values: save them unsigned")


def _refuse_scans(path: Path) -> None:
    """Refuse a progressive JPEG that is painted over and over: each scan takes the time of a whole picture."""
    scans = path.read_bytes().count(b"\xff\xda")  # such bytes are nothing else in a JPEG
    if scans > _MOST_SCANS:
        raise UnusableImage(f"has {scans} scans, where pictures have about ten")


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(Base.Orientation)
    except Exception:  # broken metadata turns a picture in no viewer
        orientation = None
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _pixels(image: Image.Image) -> NDArray[Any]:
    """The pixels of a loaded image, grey or RGB."""
    if image.mode.startswith("I"):
        return _deep_pixels(image)
    if image.mode in ("La", "RGBa"):  # brightness is multiplied by opacity
        image = image.convert(image.mode.upper())
    if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
        raise UnusableImage("has transparent parts")
    if image.mode in ("1", "L", "LA"):
        return np.asarray(image.convert("L"))
    pixels = np.asarray(image.convert("RGB"))
    if image.mode in ("P", "PA") and (pixels == pixels[..., :1]).all():
        return np.ascontiguousarray(pixels[..., 0])
    return pixels


def _deep_pixels(image: Image.Image) -> NDArray[Any]:
    pixels = np.asarray(image)
    low, high = int(pixels.min()), int(pixels.max())
    if low < 0 or high > 65535:
        raise UnusableImage(f"has values from {low} to {high}, outside 0 to 65535")
    if (pixels == image.info.get("transparency", -1)).any():
        raise UnusableImage("has transparent parts")
    return pixels.astype(np.uint16)


def _reason(error: Exception) -> str:
    """What Pillow said, as a reason; never where the file lies, which is what str() of the system's errors names."""
    text = " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
    if re.search(r"truncated|unexpected end|not enough data|EOF", text, re.IGNORECASE):
        return "is truncated"
    return f"cannot be read: {text[:160]}"
