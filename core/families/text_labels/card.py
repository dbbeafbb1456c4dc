"""The model card: what the bundle is, how to open it, how it was made and what it was not tested on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunebook.bundle.card import render_card
from tunebook.bundle.manifest import Manifest
from tunebook.config.schema import TrainConfig
from tunebook.data.pairs import example_input, whole_text
from tunebook.families.text_labels.thresholds import Chosen


def labels_card(
    manifest: Manifest,
    config: TrainConfig,
    facts: Mapping[str, Any],
    *,
    chosen: Chosen | None,
    sigmoid: bool,
    pair_format: bool,
    sentence_encoder: bool,
) -> str:
    """README.md of a bundle, with the front matter that hubs read.

    Args:
        manifest: Of the bundle.
        config: The run's.
        facts: ``data``, ``training`` and ``scores``.
        chosen: The thresholds.
        sigmoid: Whether a plain pipeline makes the head's probabilities of the outputs.
        pair_format: Whether the tokenizer puts two texts together.
        sentence_encoder: Whether the folder is a sentence encoder's.
    """
    return render_card(
        Path(__file__).with_name("card.md.jinja"),
        config.model.name,
        manifest=manifest,
        whole_text=whole_text(manifest.columns, manifest.template),
        example=example_input(manifest.columns, pair_format),
        method=config.adapt.method.name,
        thresholds=None if chosen is None else {name: round(each, 4) for name, each in chosen.thresholds.items()},
        notes=[] if chosen is None else chosen.notes,
        sigmoid=sigmoid,
        sentence_encoder=sentence_encoder,
        **facts,
    )
