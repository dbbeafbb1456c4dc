"""The model card: what the bundle is, how to open it, how it was made and what it was not tested on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunebook.bundle.card import render_card
from tunebook.bundle.manifest import Manifest
from tunebook.config.schema import TrainConfig
from tunebook.data.pairs import example_input, whole_text


def number_card(manifest: Manifest, config: TrainConfig, facts: Mapping[str, Any], pair_format: bool) -> str:
    """README.md of a bundle, with the front matter that hubs read."""
    return render_card(
        Path(__file__).with_name("card.md.jinja"),
        config.model.name,
        manifest=manifest,
        whole_text=whole_text(manifest.columns, manifest.template),
        example=example_input(manifest.columns, pair_format),
        method=config.adapt.method.name,
        **facts,
    )
