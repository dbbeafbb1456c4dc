"""Numbers in columns: what counts as one, and why anything else does not."""

from __future__ import annotations

import math
import re

import numpy as np

from tunebook.data.rows import Rows
from tunebook.data.values import as_text

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_COMMAS = re.compile(r"[+-]?[\d.\s]*\d(,\d+)+(\.\d+)?", re.ASCII)
_MISSING = ("nan", "none", "null", "na", "n/a")


def number_text(value: str) -> tuple[str, str]:
    """A number written one way (``1.50`` as ``1.5``), and what is wrong with a text that is none.

    A point is the decimal mark, and nothing is guessed: ``1,234`` may be a thousand or one and a bit.
    """
    bare = value.strip()
    if _NUMBER.fullmatch(bare):
        number = float(bare)
        if not math.isfinite(number):
            return value, f"is {value!r}, which is too large for a number"
        return as_text(number, nested=False) or "", ""
    if bare.casefold() in _MISSING:
        return value, f"is {value!r}, a missing number"
    hint = ""
    if _COMMAS.fullmatch(bare):
        hint = ": write it without separators of thousands and with a decimal point, as in 1234.5"
    elif bare.endswith("%"):
        hint = ": write it without the sign, all rows in the same unit"
    return value, f"is {value!r}, which is not a number{hint}"


def numbers_of(rows: Rows, role: str) -> np.ndarray:
    """A column of numbers, float64 ``[rows]``."""
    return np.array(rows.texts(role), dtype=np.float64)
