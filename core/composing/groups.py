"""Mistakes in what is chosen of groups of pages, and in the folder that holds one's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from tunebook.composing.command import Command
from tunebook.errors import UserError
from tunebook.plugins import unknown_recipe


def unknown_option(path: str, options: Sequence[str], command: Command) -> UserError:
    """The error for a group option that has no file; ``path`` is "group/option" as Hydra looked for it."""
    # A hub id has a slash too: only Hydra's own groups are nested.
    inner = path.removeprefix("hydra/")
    group, _, option = inner.partition("/")
    group = path[: len(path) - len(inner)] + group
    recipes = command.recipes
    if group == "recipe" and option in recipes:
        return UserError(
            f"The recipe '{option}' has no page.",
            code="recipe.missing-page",
            where=recipes[option].distribution,
            fix=f"add conf/recipe/{option}.yaml to its package",
        )
    if group == "recipe":
        return unknown_recipe(option, options)
    near = get_close_matches(option, options, n=1)
    if any(override.startswith(f"+{group}=") for override in command.overrides):
        group = f"+{group}"
    hint = f"did you mean {group}={near[0]}? " if near else ""
    extra = f"for a folder or a hub id write {group}.name={option}; " if group == "model" and option else ""
    return UserError(
        f"There is no option '{option}' of the group '{group.lstrip('+')}'.",
        code="config.unknown-option",
        where=f"{group}={option}",
        fix=f"{hint}{extra}the options are: {', '.join(options)}",
    )


def without_plus(text: str, command: Command) -> UserError | None:
    """The error for a group that Tunebook does not choose from by itself, such as ``experiment=careful``; else None."""
    group = re.search(r"Could not override '([^']+)'\. No match in the defaults list", text)
    if group is None:
        return None
    name = group.group(1)
    written = next((o for o in command.overrides if o.startswith(f"{name}=")), f"{name}=<option>")
    return UserError(
        f"The group '{name}' is in no config by itself, and is added with a plus.",
        code="config.bad-override",
        where=written,
        fix=f"write +{written}",
    )


def missing_folder(text: str) -> UserError | None:
    """The error for a folder of pages that is not there; None where Hydra's ``text`` says something else."""
    missing = re.search(r"Additional config directory '(.*)' not found", text)
    if missing is None:
        return None
    folder = Path(missing.group(1))
    beside = [entry.name for entry in folder.parent.iterdir() if entry.is_dir()] if folder.parent.is_dir() else []
    near = get_close_matches(folder.name, beside, n=1)
    hint = f"did you mean {folder.parent / near[0]}? " if near else ""
    return UserError(
        f"There is no config folder {folder}.",
        code="file.missing-folder",
        where="--config-dir",
        fix=f"{hint}give the folder that holds experiment/ or other groups; a relative path starts at {Path.cwd()}",
    )
