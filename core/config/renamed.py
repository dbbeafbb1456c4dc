"""Keys that were renamed: the old name works in this version, and one line on standard error says the new one."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

RENAMED = {
    "data.too_long": "data.overlength",
    "evaluation.answers": "evaluation.max_generations",
    "recipe.copy": "recipe.target_column",
    "recipe.points": "recipe.operating_points",
    "recipe.tokenize": "recipe.bleu_tokenizer",
}


@cache
def warn_of_new_name(old: str, new: str) -> None:
    """Print once the new name of a key."""
    print(f"note: {old} was renamed to {new}; the next version removes the old name", file=sys.stderr)


def renamed_override(override: str, known: Collection[str], listed: Collection[str]) -> str:
    """An override of an old name as one of the new name.

    Args:
        override: What was typed.
        known: The keys that there are; an old name among them is another key, of a family or recipe of its own.
        listed: The keys on the recipe's page, which may have the old name itself: then both have it.
    """
    mark, key, value = re.fullmatch(r"([+~]*)([^=]*)(.*)", override, re.S).groups()  # type: ignore[union-attr]
    for old, new in RENAMED.items():
        if new not in known or old in known:
            continue
        page_is_old = old in listed and new not in listed
        if key == old or key.startswith(f"{old}."):
            warn_of_new_name(old, new)
            return override if page_is_old else f"{mark}{new}{key[len(old) :]}{value}"
        if page_is_old and (key == new or key.startswith(f"{new}.")):
            return f"{mark}{old}{key[len(new) :]}{value}"
    return override


def renamed_keys(
    node: str, options: dict[str, Any], known: Collection[str], usual: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The options of a node of a config by their new names.

    Args:
        node: The node, such as ``data``.
        options: Its keys with their values; a new name wins over an old one.
        known: The keys that it may have; an old name among them is another key.
        usual: Defaults of keys, at which a new name gives way.
    """
    made = dict(options)
    for old, new in RENAMED.items():
        of, _, name = old.partition(".")
        own = new.partition(".")[2]
        if of == node and name in made and name not in known and own in known:
            value = made.pop(name)
            if own not in made or (usual is not None and made[own] == usual.get(own)):
                made[own] = value
            warn_of_new_name(old, new)
    return made


def says_old_name(text: str) -> bool:
    """Whether a page of YAML seems to have the old name of a key that has its place in the schema."""
    names = "|".join(old.partition(".")[2] for old in RENAMED if not old.startswith("recipe."))
    return re.search(rf"\b({names})\b\s*:", text) is not None
