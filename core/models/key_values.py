"""What a model keeps of the tokens it has read, its keys and values, under whichever name transformers has for it."""

from __future__ import annotations

import inspect
from typing import Any

from tunebook.models.layers import plain_model


def key_values_argument(model: Any) -> str:
    """What the model's forward calls them: ``cache`` since transformers 5.24, ``past_key_values`` before."""
    return "cache" if "cache" in inspect.signature(plain_model(model).forward).parameters else "past_key_values"


def key_values(output: Any) -> Any:
    """Those in a model's output, by either name; None where it keeps none."""
    name = "cache" if hasattr(output, "cache") else "past_key_values"
    return getattr(output, name, None)
