"""How a DICOM file's values become brightness: windows and lookup tables (DICOM PS3.3, C.11.1 and C.11.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.families.image_classification.data.decoded import UnusableImage


def windowed(values: NDArray[np.float64], center: float, width: float, function: str = "LINEAR") -> NDArray[np.float64]:
    """Brightness from 0 to 1 of values seen through a window (PS3.3, C.11.2.1.2 and C.11.2.1.3).

    Args:
        values: Any shape, in the unit of the window (Hounsfield units of a CT).
        center: Middle of the window.
        width: Its width: at least 1 of LINEAR, over 0 of the others.
        function: LINEAR, LINEAR_EXACT or SIGMOID.

    Raises:
        UnusableImage: The function is another, or there is no such window.
    """
    if not (width >= 1 if function == "LINEAR" else width > 0) or not np.isfinite([center, width]).all():
        raise UnusableImage(f"has an invalid window (centre {center:g}, width {width:g})")
    if function == "LINEAR" and width == 1:
        return np.asarray(values > center - 0.5, dtype=np.float64)
    if function == "LINEAR":
        return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)
    if function == "LINEAR_EXACT":
        return np.clip((values - center) / width + 0.5, 0, 1)
    if function == "SIGMOID":
        # 1 / (1 + exp(-4 x)) = (1 + tanh(2 x)) / 2, which never overflows
        return np.asarray((1 + np.tanh(2 * (values - center) / width)) / 2)
    raise UnusableImage("has a window with a function that DICOM does not define")


def looked_up(
    values: NDArray[Any], descriptor: Sequence[int], data: Any, order: str = "<"
) -> tuple[NDArray[np.int64], int]:
    """Values sent through a lookup table, and the number of its bits; what lies outside gets the nearest entry.

    Args:
        values: Integers of any shape.
        descriptor: Number of entries (0 stands for 65536), value of the first, bits of an entry.
        data: The entries, as numbers or as bytes of one or two bytes each.
        order: Order of the bytes, ``<`` or ``>``.

    Raises:
        UnusableImage: The table is shorter than it says, or holds more than its bits can.
    """
    entries, first, bits = (int(number) for number in descriptor)
    entries = entries or 65536
    if isinstance(data, (bytes, bytearray)):
        table = np.frombuffer(data, np.dtype("u1" if len(data) < 2 * entries else f"{order}u2"))
    else:
        table = np.atleast_1d(np.asarray(data))
    table = table[:entries].astype(np.int64)
    if len(table) < entries:
        raise UnusableImage(f"has a truncated lookup table: {len(table)} of {entries} entries")
    if not 1 <= bits <= 16 or table.max() >= 1 << bits:
        raise UnusableImage(f"has a lookup table whose entries do not fit its {bits} bits")
    return table[np.clip(values - first, 0, entries - 1)], bits
