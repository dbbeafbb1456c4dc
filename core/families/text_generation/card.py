"""The model card of a model that writes: what it is, how it opens without Tunebook, what it was not tested on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunebook.bundle.card import render_card
from tunebook.bundle.manifest import FILE, Manifest
from tunebook.config.schema import Objective, TrainConfig

_LEARNED = {
    Objective.sft: "conversations",
    Objective.dpo: "preferences (DPO), pairs of a chosen and a rejected answer,",
    Objective.kto: "preferences (KTO), answers that were each said to be good or bad,",
}


def generation_card(
    manifest: Manifest,
    config: TrainConfig,
    facts: Mapping[str, Any],
    adapter: bool,
    reads_apart: bool = False,
    thinking_off: str = "",
) -> str:
    """README.md of the bundle, with the front matter that hubs read.

    Args:
        manifest: What the bundle says of itself.
        config: The run's config.
        facts: ``data``, ``training``, ``scores``.
        adapter: Whether the adapters alone lie in it too.
        reads_apart: Whether the model has an encoder besides its decoder.
        thinking_off: The switches of the template by which thinking is off.
    """
    state: Mapping[str, Any] = (manifest.generation or {}).get("kept", {})
    # A recipe that makes prompts of briefs keeps its template and the form of its rows.
    brief = {"template", "form"} <= state.keys()
    named = state["form"]["fields"] if brief else ()
    fields = {field: "..." for field in named} or {"name": "Tollgate Pepper Mill", "price": "$58"}
    return render_card(
        Path(__file__).with_name("card.md.jinja"),
        config.model.name,
        manifest=manifest,
        manifest_file=FILE,
        method=config.adapt.method.name,
        learned=_LEARNED[config.objective.name],
        adapter=adapter,
        reads_apart=reads_apart,
        thinking_off=thinking_off,
        calls_tools=bool(state.get("calls_tools")),
        template=state["template"] if brief else None,
        schema=(state["form"].get("structure") or {}).get("text") if brief else None,
        fields=json.dumps(fields, ensure_ascii=False),
        **facts,
    )
