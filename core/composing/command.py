"""What is to be composed: a verb with its overrides, and the family whose options it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from tunebook.composing.schemas import known_keys, of_all, of_family, structured
from tunebook.config.compare import CompareConfig, RungConfig
from tunebook.config.evaluate import EvaluateConfig
from tunebook.config.renamed import RENAMED, renamed_override, says_old_name
from tunebook.config.schema import TrainConfig
from tunebook.errors import UserError
from tunebook.families.family import Family
from tunebook.plugins.families import all_families, families_with, family_name, load_family
from tunebook.plugins.find import Found, find_recipes
from tunebook.plugins.listed import listed_options

BASES: dict[str, type] = {
    "train": TrainConfig,
    "check": TrainConfig,
    "compare": CompareConfig,
    "evaluate": EvaluateConfig,
    "rung": RungConfig,
}
"""What the configs of all families share, by verb."""


@dataclass(frozen=True)
class Command:
    """A verb with what was typed after it.

    Attributes:
        verb: The verb.
        overrides: Its overrides.
        recipes: All recipes there are.
        chosen: Names of the recipes that it is about: several in a sweep, none where a file may choose.
        family: That of the chosen recipes; None where they have none in common, or none is chosen.
        old_names: Whether a page may have a key by the name that it had before.
        folders: Where the user's own pages are, as ``--config-dir`` says.
    """

    verb: str
    overrides: Sequence[str]
    recipes: Mapping[str, Found]
    chosen: tuple[str, ...] = ()
    family: Family | None = None
    old_names: bool = False
    folders: tuple[Path, ...] = ()

    @classmethod
    def of(
        cls,
        verb: str,
        overrides: Sequence[str] = (),
        recipes: Mapping[str, Found] | None = None,
        bundle_recipe: str | None = None,
    ) -> Command:
        """Find out which family it is about.

        Args:
            verb: The verb.
            overrides: Its overrides.
            recipes: All recipes by name, where they were found before.
            bundle_recipe: The recipe of the bundle that `evaluate` opens.

        Raises:
            UserError: The family that a chosen recipe's page names cannot be used.
        """
        known = find_recipes() if recipes is None else recipes
        chosen = (bundle_recipe,) if bundle_recipe else tuple(chosen_recipes(overrides))
        families = {family_name(known[name]) if name in known else None for name in chosen}
        name = families.pop() if len(families) == 1 else None
        family = load_family(name) if name else None
        old = any(says_old_name(_page(known[name])) for name in chosen if name in known)
        command = cls(verb, tuple(overrides), known, chosen, family, old)
        if not any(key in o for o in overrides for names in RENAMED.items() for key in names):
            return command
        keys = {*known_keys(command.schema), *command.recipe_keys()} - ({*RENAMED} if command.any_family else set())
        listed = {f"recipe.{key}" for name in chosen if name in known for key in listed_options(known[name])}
        return replace(command, overrides=tuple(renamed_override(o, keys, listed) for o in overrides))

    @property
    def any_family(self) -> bool:
        """Whether its config takes keys of families, or names, that it turns out not to have."""
        return self.family is None or self.old_names

    def recipe_keys(self) -> Iterator[str]:
        """The options that recipes of its family have, of every family where it is not known which one is meant."""
        for family in [self.family] if self.family else all_families().values():
            yield from (f"recipe.{option.name}" for option in fields(family.recipe))

    @property
    def base(self) -> type:
        """What its config has whatever the family."""
        return BASES[self.verb]

    @property
    def schema(self) -> type:
        """The typed config that is composed; of all families where it is not known which one is meant."""
        if self.verb == "rung":
            return self.base
        if self.family and not self.old_names:
            return of_family(self.base, self.family)
        return of_all(self.base, (self.family,) if self.family else tuple(all_families().values()))

    def no_effect(self, key: str) -> UserError | None:
        """The error for a key that other families have; None for one that no family has, or its own."""
        others = families_with(RENAMED.get(key, key), self.verb == "evaluate")
        if not others or (self.family and self.family.name in others):
            return None
        return UserError(
            f"{key} has no effect for recipe={','.join(self.chosen)}.",
            code="config.no-effect",
            where=key,
            fix=f"leave {key} out; recipes of {_listed(others)} have it",
        )


def chosen_recipes(overrides: Sequence[str]) -> list[str]:
    """The recipes that ``recipe=<name>`` chooses, of which a sweep may have several."""
    values = [o.split("=", 1)[1] for o in overrides if o.startswith("recipe=")]
    return [name.strip(" '\"") for value in values[-1:] for name in value.split(",")]


def register_schemas(*commands: Command) -> None:
    """Put the typed configs where the YAML's ``base_*`` defaults find them; without any command those of all families.

    Storing one costs as much time as a page of YAML.
    """
    from hydra.core.config_store import ConfigStore  # Hydra begins here: `list` knows commands without it

    for command in commands or [Command(verb, (), {}) for verb in BASES if verb != "check"]:
        name = "train" if command.verb == "check" else command.verb
        ConfigStore.instance().store(name=f"base_{name}", node=structured(command.schema))


def _page(found: Found) -> str:
    try:
        return found.yaml.read_text(encoding="utf-8") if found.yaml else ""
    except (OSError, ValueError):
        return ""  # which is reported where the page is checked


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} and {names[-1]}"
