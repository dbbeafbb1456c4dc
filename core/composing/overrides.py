"""Overrides as people type them, made readable for Hydra."""

from __future__ import annotations

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException


def readable(override: str) -> str:
    """Quote a value that Hydra's grammar cannot read as it stands: ``data.train=bücher (neu).csv``.

    What Hydra can read stays as it is, and so does what quotes do not help.
    """
    parser = OverridesParser.create()
    try:
        parser.parse_override(override)
        return override
    except HydraException:
        key, _, value = override.partition("=")
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    quoted = f"{key}='{escaped}'"
    # A bracket or a comma that does not close is a mistake to tell of, not a text to quote.
    if value[:1] in "[{'\"" or value.endswith(("]", "}")):
        return override
    try:
        parser.parse_override(quoted)
    except HydraException:
        return override
    return quoted


def quoted(text: str) -> str:
    """A value that Hydra reads as this text, whatever is in it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\${")
    return f"'{escaped}'"
