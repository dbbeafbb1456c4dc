"""Sizes that a GGUF file says otherwise than the config."""

from __future__ import annotations

from tunebook.families.text_generation.gguf.sizes import other_sizes

CONFIG = {
    "hidden_size": 64,
    "head_dim": 32,
    "rms_norm_eps": 1e-6,
    "rope_parameters": {"rope_theta": 1e4},
    "n_inner": None,
}
SAID = {"embedding_length": 64, "attention.key_length": 32, "attention.layer_norm_rms_epsilon": 9.999999974752427e-07,
        "rope.freq_base": 10000.0, "feed_forward_length": 256, "vocab_size": 7}  # fmt: skip


def test_equal_sizes_and_those_that_one_side_lacks() -> None:
    assert other_sizes(SAID, CONFIG) == []
    assert other_sizes({}, CONFIG) == other_sizes(SAID, {}) == []


def test_other_sizes_are_named() -> None:
    said = {**SAID, "rope.freq_base": 1e6, "attention.key_length": 128}
    assert other_sizes(said, CONFIG) == [
        "attention.key_length is 128 and not 32",
        "rope.freq_base is 1e+06 and not 10000",
    ]
