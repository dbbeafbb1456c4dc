"""What a training step is given."""

from __future__ import annotations

from typing import Any

Batch = dict[str, Any]
"""``{"inputs": what the model's forward takes, "target": [batch], "row": [batch], "normalizer": float}``."""
