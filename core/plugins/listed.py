"""The options that a recipe's page lists, read without importing the recipe."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tunebook.plugins.families import family_conf
from tunebook.plugins.find import Found


def listed_options(found: Found) -> Iterator[str]:
    """The recipe's options on its page, and those of its family that the page takes in among its defaults."""
    page = _mapping(found.yaml) if found.yaml else {}
    node = page.get("recipe")
    yield from map(str, node if isinstance(node, dict) else ())
    for entry in page.get("defaults") or ():
        family = re.fullmatch(r"/family/(\w+)@recipe", entry) if isinstance(entry, str) else None
        if family:
            folder = family_conf(family.group(1))
            yield from map(str, _mapping(folder / "family" / f"{family.group(1)}.yaml") if folder else ())


def _mapping(file: Path) -> dict[Any, Any]:
    """A YAML file's keys and values."""
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content if isinstance(content, dict) else {}


def line_of(text: str, key: str) -> int:
    """The line of a dotted key in a YAML text, or of the nearest key above it that is there; from 1."""
    node, line = yaml.compose(text, Loader=yaml.SafeLoader), 1
    for part in key.split("."):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        found = next(((k, v) for k, v in pairs if k.value == part), None)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line
