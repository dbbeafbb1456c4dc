"""The model card: what the bundle is, how to open it, how it was made and what it was not tested on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunebook.bundle.card import render_card
from tunebook.bundle.manifest import Manifest
from tunebook.config.schema import TrainConfig
from tunebook.data.pairs import example_arguments, example_input, whole_text


def text_card(
    manifest: Manifest,
    config: TrainConfig,
    facts: Mapping[str, Any],
    *,
    own_rule: bool,
    pair_format: bool,
    sentence_encoder: bool = False,
) -> str:
    """README.md of a text classifier's bundle, with the front matter that hubs read.

    Args:
        manifest: What the bundle says of itself.
        config: The run's config.
        facts: ``data``, ``training`` and ``scores``.
        own_rule: Whether the recipe's head decides otherwise than by the most probable label.
        pair_format: Whether the tokenizer has a format of its own for two texts.
        sentence_encoder: Whether the model is one, which another library opens.
    """
    return render_card(
        Path(__file__).with_name("card.md.jinja"),
        config.model.name,
        manifest=manifest,
        method=config.adapt.method.name,
        own_rule=own_rule,
        sentence_encoder=sentence_encoder,
        whole_text=whole_text(manifest.columns, manifest.template),
        example=example_input(manifest.columns, pair_format),
        arguments=example_arguments(manifest.columns, pair_format),
        **facts,
    )
