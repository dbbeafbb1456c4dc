"""Tab completion of the config: groups, keys and values, as far as what was typed before composes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints

from hydra import initialize_config_module
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tunebook.composing.command import Command, register_schemas
from tunebook.composing.search_path import register_search_path
from tunebook.config.optimizers import OPTIMIZERS, SCHEDULES
from tunebook.config.parts import offered_parts
from tunebook.errors import UserError


def config_candidates(verb: str, overrides: Sequence[str], word: str) -> Iterator[str]:
    """What a word may become, as far as the config composes from what was typed before it."""
    key, equals, value = word.partition("=")
    try:
        loader = _loader(verb, overrides)
    except UserError:  # the chosen recipe cannot be used, which the command itself will say
        return
    if not equals:
        yield from _groups(loader, verb, overrides, word)
        yield from _keys(_composed(loader, verb, overrides), word)
        return
    head = value[: value.rfind(",") + 1]  # of a sweep the last value is being typed
    options = _options(loader, verb, overrides, key.lstrip("+~"))
    values = options or _names(key) or _values(_composed(loader, verb, overrides), key.lstrip("+"))
    yield from (each for each in (f"{key}={head}{value}" for value in values) if each.startswith(word))


def _loader(verb: str, overrides: Sequence[str]) -> ConfigLoader:
    """Hydra's loader, set up as for the command itself."""
    command = Command.of(verb, overrides)
    register_schemas(command)
    register_search_path(overrides, command.recipes)
    initialize_config_module("tunebook.conf", version_base="1.3")
    return GlobalHydra.instance().config_loader()


def _composed(loader: ConfigLoader, verb: str, overrides: Sequence[str]) -> Any:
    """The config so far; empty where what was typed does not compose."""
    try:
        return loader.load_configuration(verb, list(overrides), RunMode.MULTIRUN)  # which does without a recipe
    except (HydraException, OmegaConfBaseException):
        return OmegaConf.create()


def _options(loader: ConfigLoader, verb: str, overrides: Sequence[str], group: str) -> list[str]:
    """The options of a group."""
    return loader.get_group_options(group, ObjectType.CONFIG, verb, list(overrides))


def _groups(loader: ConfigLoader, verb: str, overrides: Sequence[str], word: str) -> Iterator[str]:
    """Groups that a word may become: ``model=``, ``+experiment=``, ``hydra/``."""
    sign = word[:1] if word[:1] in ("+", "~") else ""
    stem = word[len(sign) :]
    parent = stem.rpartition("/")[0]
    for each in loader.get_group_options(parent, ObjectType.GROUP, verb, list(overrides)):
        name = f"{parent}/{each}" if parent else each
        if name.startswith(stem) and name != "family":  # which is for recipes' pages
            end = "=" if _options(loader, verb, overrides, name) else "/"
            yield f"{sign}{name}{end}"


def _keys(config: Any, word: str) -> Iterator[str]:
    """Keys that a word may become: ``optim.`` and then ``optim.lr=``."""
    base, dot, stem = word.rpartition(".")
    node = OmegaConf.select(config, base) if base else config
    if not OmegaConf.is_dict(node):
        return
    for key in map(str, node):
        if key.startswith(stem):
            held = None if OmegaConf.is_missing(node, key) or OmegaConf.is_interpolation(node, key) else node[key]
            yield f"{base}{dot}{key}{'.' if OmegaConf.is_dict(held) else '='}"


def _names(key: str) -> list[str]:
    """Optimizers and schedules, which a key names; those of installed packages too."""
    if key == "optim.name":
        return [*OPTIMIZERS, *offered_parts("optimizer")]
    return [*SCHEDULES, *offered_parts("schedule")] if key == "optim.schedule" else []


def _values(config: Any, key: str) -> list[str]:
    """Values that a key may have: all of a choice, or the one it has."""
    above, _, leaf = key.rpartition(".")
    node = OmegaConf.select(config, above) if above else config
    if not OmegaConf.is_dict(node) or leaf not in node:
        return []
    schema = OmegaConf.get_type(node)
    kind = get_type_hints(schema).get(leaf) if isinstance(schema, type) and schema is not dict else None
    kinds = () if get_origin(kind) in (list, dict) else (kind, *get_args(kind))
    choice = next((each for each in kinds if isinstance(each, type) and issubclass(each, Enum)), None)
    if choice is not None:
        return [member.name for member in choice]
    if bool in kinds:
        return ["true", "false"]
    unset = OmegaConf.is_missing(node, leaf) or OmegaConf.is_interpolation(node, leaf)
    value = None if unset else node[leaf]
    return [str(value)] if isinstance(value, (str, int, float)) else []
