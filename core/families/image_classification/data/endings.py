"""Which files are images, by name."""

from __future__ import annotations

from pathlib import Path

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".bmp", ".webp", ".dcm", ".dicom")


def is_image_file(path: Path) -> bool:
    """Whether a file is named like an image, or is DICOM without an ending, as scanners write it."""
    ending = path.suffix.lower()
    return ending in IMAGE_ENDINGS or (not ending.strip(".0123456789") and _is_dicom(path))


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False
