"""The model card: what the bundle is, how to open it, how it was made and what it was not tested on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunebook import __version__
from tunebook.bundle.manifest import Manifest
from tunebook.config.schema import TrainConfig
from tunebook.data.pairs import example_input


def number_card(manifest: Manifest, config: TrainConfig, facts: Mapping[str, Any], pair_format: bool) -> str:
    """README.md of a bundle, with the front matter that hubs read."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    template = Path(__file__).with_name("card.md.jinja").read_text(encoding="utf-8")
    # A folder of this machine says nothing elsewhere, and is nobody else's business.
    is_folder = Path(config.model.name).expanduser().is_dir()
    return environment.from_string(template).render(
        manifest=manifest,
        example=example_input(manifest.columns, pair_format),
        name=Path(config.model.name).name if is_folder else config.model.name,
        base=None if is_folder or "/" not in config.model.name else config.model.name,
        method=config.adapt.method.name,
        version=__version__,
        data=facts.get("data", {}),
        training=facts.get("training", {}),
        scores=facts.get("scores", ()),
    )
