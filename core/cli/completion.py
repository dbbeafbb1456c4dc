"""Tab completion: verbs, recipes, options, groups, config keys with their values, and file names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader

COMPOSING = ("check", "train", "compare", "evaluate")
OPTIONS: dict[str, tuple[str, ...]] = {
    "--cfg": ("job", "hydra", "all"),
    "--config-dir": (),
    "--help": (),
    "--hydra-help": (),
    "--info": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
    "--multirun": (),
    "--package": (),
    "--resolve": (),
}
"""Hydra's options that work with our verbs, and what may follow them."""
FOLDER_OPTIONS = ("--config-dir", "-cd")
PATHS = {
    *("data.train", "data.validation", "data.test", "data.image_root", "data.cache_dir", "run_dir", "resume"),
    *("bundle", "model.name", "model.weights", "model.chat_template", "recipe.template", "hydra.sweep.dir"),
}
"""Keys whose value may be a file or a folder."""
_PLAIN = re.compile(r"[\w./+@%:,=~-]+")
# bash expands what it is offered: a file called $(command) would be run. A blank would make two words of one.


def print_candidates(verbs: Sequence[str]) -> None:
    """Print what the word that is being typed may become, one a line; the shell hands on the line so far.

    Args:
        verbs: The verbs there are.
    """
    line = os.environ.get("COMP_LINE", "")
    found = candidates(line, verbs)
    print("\n".join(each for each in found if _PLAIN.fullmatch(each)))


def candidates(line: str, verbs: Sequence[str]) -> list[str]:
    """What the last word of a command line may become; none where the shell's own file names are as good."""
    words = line.split()
    word = words.pop() if words and not line[-1].isspace() else ""
    if len(words) < 2:
        return _beginning(word, verbs)
    verb, before = words[1], words[2:]
    if verb in ("show", "verify"):
        from tunebook.plugins import find_recipes

        return _beginning(word, find_recipes())
    if verb not in COMPOSING:
        return []
    if word.startswith("-"):
        return _beginning(word, OPTIONS)
    last = before[-1] if before else ""
    if last in FOLDER_OPTIONS:
        return [name for name in _files("", word) if name.endswith("/")]
    choices = _beginning(word, OPTIONS.get(last, ()))
    return choices or _of_config(verb, before, word)


def _beginning(word: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(word)]


def _of_config(verb: str, before: Sequence[str], word: str) -> list[str]:
    """Groups, keys and values of the config, as far as it composes from what was typed before."""
    from tunebook.errors import UserError

    key, equals, value = word.partition("=")
    if equals and (key in PATHS - {"model.name"} or value.startswith(("/", "./", "../", "~/"))):
        return list(_files(f"{key}=", value))
    overrides = [each for each in before if "=" in each and not each.startswith("-")]
    overrides += [f"hydra.searchpath=['file://{folder}']" for folder in _config_folders(before)]
    try:
        loader = _loader(verb, overrides)
    except UserError:  # the chosen recipe cannot be used, which the command itself will say
        return []
    if not equals:
        return sorted({*_groups(loader, verb, overrides, word), *_keys(_composed(loader, verb, overrides), word)})
    head = value[: value.rfind(",") + 1]  # of a sweep the last value is being typed
    options = _options(loader, verb, overrides, key.lstrip("+~"))
    values = options or _names(key) or _values(_composed(loader, verb, overrides), key.lstrip("+"))
    files = list(_files(f"{key}=", value)) if key in PATHS else []
    return sorted({*_beginning(word, (f"{key}={head}{each}" for each in values)), *files})


def _config_folders(before: Sequence[str]) -> list[Path]:
    """The folder that ``--config-dir`` names, if it is there."""
    named = [after for option, after in pairwise(before) if option in FOLDER_OPTIONS]
    named += [each.partition("=")[2] for each in before if each.startswith("--config-dir=")]
    return [Path(folder).absolute() for folder in named[:1] if Path(folder).is_dir()]


def _loader(verb: str, overrides: Sequence[str]) -> ConfigLoader:
    """Hydra's loader, set up as for the command itself."""
    from hydra import initialize_config_module
    from hydra.core.global_hydra import GlobalHydra

    from tunebook.composing.command import Command, register_schemas
    from tunebook.composing.search_path import register_search_path

    command = Command.of(verb, overrides)
    register_schemas(command)
    register_search_path(overrides, command.recipes)
    initialize_config_module("tunebook.conf", version_base="1.3")
    return GlobalHydra.instance().config_loader()


def _composed(loader: ConfigLoader, verb: str, overrides: Sequence[str]) -> Any:
    """The config so far; empty where what was typed does not compose."""
    from hydra.errors import HydraException
    from hydra.types import RunMode
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        return loader.load_configuration(verb, list(overrides), RunMode.MULTIRUN)  # which does without a recipe
    except (HydraException, OmegaConfBaseException):
        return OmegaConf.create()


def _options(loader: ConfigLoader, verb: str, overrides: Sequence[str], group: str) -> list[str]:
    """The options of a group."""
    from hydra.core.object_type import ObjectType

    return loader.get_group_options(group, ObjectType.CONFIG, verb, list(overrides))


def _groups(loader: ConfigLoader, verb: str, overrides: Sequence[str], word: str) -> Iterator[str]:
    """Groups that a word may become: ``model=``, ``+experiment=``, ``hydra/``."""
    from hydra.core.object_type import ObjectType

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
    from omegaconf import OmegaConf

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
    from tunebook.config.optimizers import OPTIMIZERS, SCHEDULES
    from tunebook.config.parts import offered_parts

    if key == "optim.name":
        return [*OPTIMIZERS, *offered_parts("optimizer")]
    return [*SCHEDULES, *offered_parts("schedule")] if key == "optim.schedule" else []


def _values(config: Any, key: str) -> list[str]:
    """Values that a key may have: all of a choice, or the one it has."""
    from omegaconf import OmegaConf

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


def _files(before: str, typed: str) -> Iterator[str]:
    """Files and folders that a path may become; those with a dot in front only where it was typed."""
    folder, slash, stem = typed.rpartition("/")
    try:
        entries = sorted(Path(f"{folder}{slash}" or ".").expanduser().iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(stem) and (stem.startswith(".") or not entry.name.startswith(".")):
            yield f"{before}{folder}{slash}{entry.name}{'/' if entry.is_dir() else ''}"
