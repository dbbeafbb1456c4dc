"""The longest input of a model, by its config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def positions(settings: Mapping[str, Any]) -> int | None:
    """How many tokens a model's config has positions for; None where it does not say."""
    limits = [n for n in (settings.get("max_position_embeddings"), settings.get("n_positions")) if n]
    # RoBERTa and its kin number positions from pad_token_id + 1.
    offset = 2 if settings.get("model_type") in ("roberta", "xlm-roberta", "camembert", "mpnet") else 0
    return min((n - offset for n in limits), default=None)
