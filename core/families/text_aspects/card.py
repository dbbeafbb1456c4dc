"""The model card: what the bundle is, how to open it, how it was made and what it was not tested on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunebook.bundle.card import render_card
from tunebook.bundle.manifest import Manifest
from tunebook.config.schema import TrainConfig
from tunebook.data.pairs import example_arguments, example_input, whole_text
from tunebook.families.text_aspects.head import AspectsHead
from tunebook.training.head import Head


def aspects_card(
    manifest: Manifest,
    config: TrainConfig,
    facts: Mapping[str, Any],
    head: Head,
    pair_format: bool,
    sentence_encoder: bool,
) -> str:
    """README.md of a bundle, with the front matter that hubs read.

    Args:
        manifest: What the bundle says of itself.
        config: The run's config.
        facts: ``data``, ``training`` and ``scores``.
        head: Decides on the answers.
        pair_format: Whether the tokenizer has a format of its own for two texts.
        sentence_encoder: Whether the model is one, which another library opens.
    """
    assert manifest.state is not None
    return render_card(
        Path(__file__).with_name("card.md.jinja"),
        config.model.name,
        manifest=manifest,
        method=config.adapt.method.name,
        aspects=manifest.state["aspects"],
        values=manifest.state["values"],
        own_rule=type(head).decide is not AspectsHead.decide,
        sentence_encoder=sentence_encoder,
        whole_text=whole_text(manifest.columns, manifest.template),
        example=example_input(manifest.columns, pair_format),
        arguments=example_arguments(manifest.columns, pair_format),
        **facts,
    )
