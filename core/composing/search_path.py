"""Let Hydra find the pages of all recipes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from tunebook.composing.command import chosen_recipes
from tunebook.composing.pages import trouble
from tunebook.plugins.families import family_conf, family_name
from tunebook.plugins.find import Found, find_recipes, package_folders
from tunebook.plugins.private import keep_folders


def register_search_path(overrides: Sequence[str] = (), recipes: Mapping[str, Found] | None = None) -> None:
    """Let Hydra see the config folders of all recipes, of their families and our own.

    Args:
        overrides: Those of the command, which may choose a recipe.
        recipes: All recipes by name, where they were found before.

    Raises:
        UserError: The chosen recipe cannot be used. Hydra alone would take the first of two pages in silence.
    """
    keep_folders()
    known = find_recipes() if recipes is None else recipes
    chosen = [known[name] for name in chosen_recipes(overrides) if name in known]
    for found in chosen:
        wrong = trouble(found)
        if wrong:
            raise wrong.error(found)
    # The chosen one's folder comes first: another's could hold a page of the same name.
    ours = package_folders("tunebook.conf")  # Hydra has it already
    every = [*chosen, *known.values()]
    folders = {str(f.conf): f.distribution for f in every if f.conf and f.conf not in ours}
    for family in filter(None, map(family_name, chosen)):  # which another package than the recipe's may offer
        conf = family_conf(family)
        if conf and conf not in ours:
            folders.setdefault(str(conf), f"family {family}")

    class RecipeSearchPath(SearchPathPlugin):
        """Appends folders, not packages: a ``pkg://`` path would import every plugin at every command."""

        def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
            for folder, distribution in folders.items():
                search_path.append(provider=distribution, path=f"file://{folder}")

    Plugins.instance().register(RecipeSearchPath)
