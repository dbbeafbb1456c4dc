"""A config as its recipe's family has it: composed before the family was known, or read back from a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from omegaconf import DictConfig, OmegaConf

from tunebook.composing.command import BASES, Command
from tunebook.composing.errors import unknown_key
from tunebook.composing.schemas import narrowed, of_family, own_nodes, set_elsewhere
from tunebook.config.renamed import RENAMED, renamed_keys
from tunebook.config.schema import TrainConfig
from tunebook.config.verbatim import verbatim
from tunebook.families.family import Family
from tunebook.plugins import find_recipes, load_recipe_class
from tunebook.plugins.families import all_families, family_name, load_family


def family_of(recipe: str) -> Family:
    """A recipe's family; the recipe is only imported where neither its page nor its source names one.

    Raises:
        UserError: There is no such recipe, or its family cannot be used.
    """
    found = find_recipes().get(recipe)
    name = family_name(found) if found else None
    return load_family(name) if name else load_recipe_class(recipe).family


def own_config(config: DictConfig, recipe: str, family: Family) -> DictConfig:
    """A composed config as the recipe's family has it.

    Raises:
        UserError: A key is set in it that the family lacks.
    """
    kind = OmegaConf.get_type(config)
    verb = next(verb for verb in ("compare", "train", "evaluate") if kind and issubclass(kind, BASES[verb]))
    schema = of_family(BASES[verb], family)
    if kind is schema:
        return config
    for key in set_elsewhere(config, schema):
        command = Command(verb, (), find_recipes(), (recipe,), family)
        raise command.no_effect(key) or unknown_key(key, command)
    return narrowed(config, schema)


def stored_config(loaded: DictConfig) -> DictConfig:
    """The config of a run that was written before, typed by its family.

    Keys of other families are left out where they have the value that these give them: nobody set them. An earlier
    Tunebook wrote the keys of all families for each.

    Nothing in it is interpolated: it was resolved when it was written.

    Raises:
        UserError: A key is set in it that the family lacks.
    """
    plain: Any = verbatim(OmegaConf.to_container(loaded, resolve=False))
    node = plain.get("recipe")
    family = family_of(str(node.get("name") if isinstance(node, dict) else None))
    schema = of_family(TrainConfig, family)
    for node, kind in own_nodes(TrainConfig, family).items():
        usual: dict[str, list[Any]] = {}
        for key, value in _defaults(node):
            usual.setdefault(key, []).append(value)
        known = {option.name for option in fields(kind)}
        if isinstance(values := plain.get(node), dict):
            kept = renamed_keys(node, values, known)
            plain[node] = {k: v for k, v in kept.items() if k in known or v not in usual.get(_new(node, k), [])}
    made = OmegaConf.merge(OmegaConf.structured(schema), plain)
    assert isinstance(made, DictConfig)
    return made


def _new(node: str, key: str) -> str:
    """What a key is called now."""
    return RENAMED.get(f"{node}.{key}", f"{node}.{key}").partition(".")[2]


def _defaults(node: str) -> Iterator[tuple[str, Any]]:
    """Each key that a family has in a node, and the value that it has unless it is set, as a file has it."""
    for family in all_families().values():
        usual: Any = OmegaConf.to_container(OmegaConf.structured(getattr(family, node)), enum_to_str=True)
        yield from usual.items()
