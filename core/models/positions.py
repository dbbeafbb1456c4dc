"""The longest input of a model, by its config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FROM_PADDING = (
    *("camembert", "data2vec-text", "esm", "ibert", "layoutlmv3", "lilt", "longformer", "luke", "markuplm", "mpnet"),
    *("roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod"),
)
"""Kinds of models that number positions from pad_token_id + 1, in a table that has no more rows for it."""


def positions(settings: Mapping[str, Any]) -> int | None:
    """How many tokens a model's config has positions for; None where it does not say."""
    limits = [n for n in (settings.get("max_position_embeddings"), settings.get("n_positions")) if n]
    padding = settings.get("pad_token_id")
    offset = 1 + (1 if padding is None else padding) if settings.get("model_type") in FROM_PADDING else 0
    return min((n - offset for n in limits), default=None)
