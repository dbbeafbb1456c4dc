"""Find recipes by name without importing any, and put their config folders on Hydra's search path."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebook.errors import UserError

if TYPE_CHECKING:
    from tunebook.recipe import Recipe

GROUP = "tunebook.recipes"
_OURS = "tunebook"


@dataclass(frozen=True)
class Found:
    """A recipe that some installed distribution offers.

    Attributes:
        name: What ``recipe=<name>`` selects.
        distribution: Who offers it, with version.
        conf: Folder that holds ``recipe/<name>.yaml``; None where it cannot be found.
        entry: Loads the class.
    """

    name: str
    distribution: str
    conf: Path | None
    entry: EntryPoint

    @property
    def yaml(self) -> Path | None:
        """The recipe's page, ``conf/recipe/<name>.yaml``."""
        path = self.conf / "recipe" / f"{self.name}.yaml" if self.conf else None
        return path if path and path.is_file() else None

    @property
    def summary(self) -> str:
        """The first comment line of the recipe's page."""
        if self.yaml is None:
            return "(its conf/recipe YAML is missing)"
        for line in self.yaml.read_text(encoding="utf-8", errors="replace").splitlines():
            text = line.lstrip("# ").strip()
            if line.startswith("#") and text and not text.startswith("@package"):
                return text
        return ""


def _package_folder(package: str) -> Path | None:
    """Where a top-level package lies, without importing it."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _conf_folder(entry: EntryPoint) -> Path | None:
    """The ``conf/`` in the top package of an entry point; ours is a package of its own."""
    top = entry.value.split(":")[0].split(".")[0]
    if top == _OURS:
        spec = importlib.util.find_spec("tunebook.conf")
        locations = spec.submodule_search_locations if spec else None
        return Path(next(iter(locations))) if locations else None
    folder = _package_folder(top)
    return folder / "conf" if folder and (folder / "conf").is_dir() else None


def _distribution(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown distribution"


def find_recipes() -> dict[str, Found]:
    """All recipes on offer, by name, sorted.

    Raises:
        UserError: Two distributions offer one name; Hydra alone would take the first in silence.
    """
    found: dict[str, Found] = {}
    for entry in entry_points(group=GROUP):
        new = Found(entry.name, _distribution(entry), _conf_folder(entry), entry)
        other = found.get(new.name)
        # The same distribution can be listed twice where a checkout shadows its own installed metadata.
        if other and other.entry.value != new.entry.value:
            raise UserError(
                f"Two packages offer a recipe named '{new.name}': {other.distribution} and {new.distribution}.",
                where=f"entry points of group {GROUP}",
                mend="uninstall one of them, or rename its entry point and its YAML",
            )
        found[new.name] = new
    return dict(sorted(found.items()))


def unknown_recipe(name: str, known: Iterable[str]) -> UserError:
    """The error for a recipe that nobody offers."""
    near = get_close_matches(name, list(known), n=1)
    hint = f"did you mean recipe={near[0]}? " if near else ""
    return UserError(
        f"There is no recipe named '{name}'.",
        where=f"recipe={name}",
        mend=f"{hint}`tunebook list` shows all recipes",
    )


def load_recipe_class(name: str) -> type[Recipe[Any]]:
    """Import the chosen recipe, and only that one.

    Raises:
        UserError: Nobody offers it, or importing it fails; the message names the distribution.
    """
    known = find_recipes()
    if name not in known:
        raise unknown_recipe(name, known)
    found = known[name]
    try:
        loaded = found.entry.load()
    except (Exception, SystemExit) as error:  # a stranger's code may raise anything
        raise UserError(
            f"The recipe '{name}' cannot be imported: {type(error).__name__}: {error}",
            where=f"{found.distribution}, {found.entry.value}",
            mend=f"mend or reinstall {found.distribution.split()[0]}",
        ) from error
    from tunebook.recipe import Recipe

    if not (isinstance(loaded, type) and issubclass(loaded, Recipe)):
        raise UserError(
            f"The entry point of '{name}' is not a Recipe class.",
            where=f"{found.distribution}, {found.entry.value}",
            mend="point it at a class that derives from one of tunebook's families",
        )
    return loaded


def register_search_path() -> None:
    """Let Hydra see the config folders of all recipes and our own."""
    from hydra.core.config_search_path import ConfigSearchPath
    from hydra.core.plugins import Plugins
    from hydra.plugins.search_path_plugin import SearchPathPlugin

    class RecipeSearchPath(SearchPathPlugin):
        """Appends folders, not packages: a ``pkg://`` path would import every plugin at every command."""

        def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
            for found in find_recipes().values():
                if found.conf and found.entry.value.split(".")[0] != _OURS:
                    search_path.append(provider=found.distribution, path=f"file://{found.conf}")

    Plugins.instance().register(RecipeSearchPath)
