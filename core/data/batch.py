"""What a training step is given."""

from __future__ import annotations

from typing import Any

Batch = dict[str, Any]
"""``{"inputs": what the model's forward takes, "target": [batch], "row": [batch], "normalizer": float}``."""

IGNORE_INDEX = -100
"""Target of what is not learned, such as padding: what torch's losses leave out."""
