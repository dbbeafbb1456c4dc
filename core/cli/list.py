"""`tunebook list`: all recipes, none of them imported."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tunebook.composing.pages import trouble
from tunebook.errors import UserError
from tunebook.plugins import offers
from tunebook.plugins.private import folder_notes


def _one_line(text: str) -> str:
    """A stranger's text without what a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in text)


def print_recipes(arguments: Sequence[str]) -> None:
    """`tunebook list`: one line a recipe, with what is wrong with it where that is known without importing it."""
    if arguments:
        raise UserError(
            "`list` takes no arguments.", code="command.bad-arguments", where=" ".join(arguments), fix="tunebook list"
        )
    found = offers()
    width = max((len(recipe.name) for recipe in found), default=0)
    for recipe in found:
        wrong = trouble(recipe)
        parts = [
            recipe.name.ljust(width),
            recipe.summary,
            f"({recipe.distribution})",
            f"! {wrong.what}" if wrong else "",
        ]
        print(_one_line("  ".join(part for part in parts if part)))
    if not found:
        print("no recipe is installed")
    for note in folder_notes():
        print(f"note: {note}", file=sys.stderr)
