"""What is read back is text and numbers: nothing in it is interpolated."""

from __future__ import annotations

import re
from typing import Any

_BEGIN = re.compile(r"(\\*)\$\{")


def verbatim(value: Any) -> Any:
    """Plain values in which OmegaConf finds no interpolation: ``${oc.env:TOKEN}`` stays these characters."""
    if isinstance(value, dict):
        return {key: verbatim(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [verbatim(inner) for inner in value]
    return _BEGIN.sub(lambda found: rf"{found[1] * 2}\${{", value) if isinstance(value, str) else value
