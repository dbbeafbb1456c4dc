"""Recipes in folders of one's own, without packaging.

``TUNEBOOK_RECIPES`` names folders, separated as in ``PATH``. A folder with a ``recipe.py`` is one recipe; any other
holds a recipe in each subfolder with a ``recipe.py``. Such a recipe is a plugin's package laid open::

    ticket_routing/                          the recipe's name
      recipe.py                              exactly one class that derives from Recipe
      conf/recipe/ticket_routing.yaml        its page
      samples/train.csv                      where it has any
      __init__.py, words.py ...              where it has any: `from . import words`

Where the variable is not set, the lines of ``~/.config/tunebook/recipe_folders`` count. A file in the working folder
does not: whoever opens a bundle where it was unpacked would run what came along with it. Nor does a key of the config:
`predict` has none, and what a run wrote down must name no code when it is read back.

A folder's package is imported as ``tunebook.plugins.private.<name>``, so that it hides no installed module. The import
system asks ``FolderFinder`` for it, so that processes which unpickle parts of a recipe find it too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

VARIABLE = "TUNEBOOK_RECIPES"
PACKAGE = __name__

__path__: list[str] = []  # makes a package of this module; FolderFinder says what is in it


def _settings() -> Path:
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(home) / "tunebook" / "recipe_folders"


def _named() -> tuple[str, list[Path]]:
    """Who names folders, and which; they need not exist."""
    settings = _settings()
    said = os.environ.get(VARIABLE)
    if said is not None:
        source, names = VARIABLE, said.split(os.pathsep)
    elif settings.is_file():
        lines = settings.read_text(encoding="utf-8", errors="replace").splitlines()
        source, names = str(settings), [line.split("#")[0] for line in lines]
    else:
        return VARIABLE, []
    # An empty name is no folder; the shell's PATH takes it for the current one, which is a trap.
    folders = [os.path.expanduser(name.strip()) for name in names if name.strip()]
    start = "" if source == VARIABLE else settings.parent
    return source, list(dict.fromkeys(Path(os.path.abspath(os.path.join(start, folder))) for folder in folders))


def _within(folder: Path) -> list[Path]:
    """The recipes' folders in a folder, which may be one itself."""
    if (folder / "recipe.py").is_file():
        return [folder]
    try:
        inner = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    except OSError:
        return []
    return [p for p in inner if (p / "recipe.py").is_file()]


def private_recipes() -> list[Path]:
    """The folder of each private recipe, whose name is the recipe's; two may have the same."""
    return list(dict.fromkeys(recipe for folder in _named()[1] for recipe in _within(folder)))


def folder_notes() -> list[str]:
    """What is wrong with the folders named, one line each."""
    source, folders = _named()
    missing = [f"{source}: {folder} is not a folder" for folder in folders if not folder.is_dir()]
    empty = [f"{source}: {folder} holds no recipe.py" for folder in folders if folder.is_dir() and not _within(folder)]
    return missing + empty


def keep_folders() -> None:
    """Write the folders into the environment in full, so that further processes find them from anywhere."""
    if VARIABLE in os.environ:
        os.environ[VARIABLE] = os.pathsep.join(str(folder) for folder in _named()[1])


class FolderFinder(MetaPathFinder):
    """Finds ``tunebook.plugins.private.<name>`` in the folder of the private recipe of that name, and nowhere else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The package of a private recipe; its modules are then found as in any package."""
        parent, _, name = fullname.rpartition(".")
        folder = next((f for f in private_recipes() if f.name == name), None) if parent == PACKAGE else None
        if folder is None:
            return None
        inside = [str(folder)]
        if (folder / "__init__.py").is_file():
            return spec_from_file_location(fullname, folder / "__init__.py", submodule_search_locations=inside)
        spec = ModuleSpec(fullname, None, is_package=True)
        spec.submodule_search_locations = inside
        return spec


sys.meta_path.append(FolderFinder())
