"""Model cards: README.md of a bundle, from a family's template beside its code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tunebook import __version__


def render_card(template: Path, base: str, /, **values: Any) -> str:
    """Fill in a family's card.

    Args:
        template: Its ``card.md.jinja``. It also knows ``version``, ``name`` (the base model as others may know it) and
            ``hub_id`` (its id on the hub, or None), and includes ``facts.md.jinja`` for what all cards end with.
        base: The base model, as the user named it.
        values: Whatever else the template asks for.
    """
    # A folder of this machine says nothing elsewhere, and is nobody else's business.
    is_folder = Path(base).expanduser().is_dir()
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(template.read_text(encoding="utf-8")).render(
        version=__version__,
        name=Path(base).name if is_folder else base,
        hub_id=None if is_folder or "/" not in base else base,
        **values,
    )
