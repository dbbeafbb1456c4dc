"""The sizes and constants of a model, as a GGUF file says them and as its config does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_NAMES = {
    "context_length": ("max_position_embeddings", "n_positions"),
    "embedding_length": ("hidden_size", "n_embd"),
    "block_count": ("num_hidden_layers", "n_layer"),
    "feed_forward_length": ("intermediate_size", "n_inner"),
    "attention.head_count": ("num_attention_heads", "n_head"),
    "attention.head_count_kv": ("num_key_value_heads",),
    "attention.key_length": ("head_dim",),
    "attention.value_length": ("head_dim",),
    "attention.layer_norm_rms_epsilon": ("rms_norm_eps",),
    "attention.layer_norm_epsilon": ("layer_norm_epsilon", "layer_norm_eps"),
    "rope.freq_base": ("rope_theta",),
}
"""GGUF's names, behind that of the architecture, and those of transformers."""


def other_sizes(said: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """What a GGUF file says otherwise than the config, in words.

    Args:
        said: Of the file, by GGUF's name without the architecture.
        config: Of the bundle, as a mapping.
    """
    known = {**config, **(config.get("rope_parameters") or {})}
    found = []
    for name, names in _NAMES.items():
        wanted = next((known[each] for each in names if known.get(each) is not None), None)
        value = said.get(name)
        if not isinstance(wanted, (int, float)) or not isinstance(value, (int, float)):
            continue
        if not math.isclose(value, wanted, rel_tol=1e-6):
            found.append(f"{name} is {value:g} and not {wanted:g}")
    return found
