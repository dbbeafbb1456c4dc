"""`tunebook show`: every option of a recipe with its type, default and help, without importing torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from tunebook.cli.options import Option, plain, print_options, schema_options
from tunebook.composing.command import Command, register_schemas
from tunebook.composing.errors import explain, is_config_error
from tunebook.composing.own import family_of, own_config
from tunebook.composing.pages import trouble
from tunebook.composing.schemas import known_keys, of_family
from tunebook.composing.search_path import register_search_path
from tunebook.errors import UserError
from tunebook.plugins import find_recipes, load_recipe_class, unknown_recipe


def print_recipe(arguments: Sequence[str]) -> None:
    """`tunebook show <recipe>`: its page's header, its own options, then everyone's."""
    if len(arguments) != 1:
        raise UserError(
            f"`show` takes one recipe, not {len(arguments)} arguments." if arguments else "`show` takes one recipe.",
            code="command.bad-arguments",
            where=" ".join(["tunebook show", *arguments]),
            fix=f"tunebook show {next(iter([*arguments, *find_recipes()]), 'NAME')}",
        )
    name = arguments[0].removeprefix("recipe=")
    known = find_recipes()
    if name not in known:
        raise unknown_recipe(name, known)
    wrong = trouble(known[name])
    if wrong:
        raise wrong.error(known[name])
    config = load_recipe_class(name).Config  # a recipe that cannot be imported has nothing to show
    page = known[name].yaml
    if page:
        lines = page.read_text(encoding="utf-8").splitlines()
        header = [line[1:].removeprefix(" ") for line in lines if line.startswith("#")]
        print("\n".join(line for line in header if not line.startswith("@package")), "\n")
    print_options(f"options of {name}", list(schema_options(config, "recipe.")))
    command = Command.of("train", [f"recipe={name}"], known)
    if command.family is None:  # neither its page nor its source says so
        command = replace(command, family=family_of(name))
    schema = of_family(command.base, family_of(name))
    defaults = _composed_defaults(command, schema)
    options = [
        Option(o.key, o.type, defaults.get(o.key, o.default), o.help) for o in schema_options(schema, skip=("recipe",))
    ]
    print_options("options of its runs, with this recipe's defaults", options)


def _composed_defaults(command: Command, schema: type) -> dict[str, str]:
    """The value of every key once the recipe's YAML has spoken."""
    register_schemas(command)
    register_search_path(command.overrides)
    try:
        with initialize_config_module("tunebook.conf", version_base="1.3"):
            composed = compose("train", overrides=list(command.overrides))
    except Exception as error:
        if is_config_error(error):
            raise explain(error, command) from error
        raise
    config = own_config(composed, command.chosen[0], family_of(command.chosen[0]))
    values = {}
    for key in known_keys(schema):
        if key == "data.cache_dir" or key.startswith("recipe"):
            continue
        if key == "run_dir":  # it has the time in it
            written: Any = OmegaConf.to_container(config, resolve=False)
            folder = str(written[key]).replace("${recipe.name}", command.chosen[0])
            values[key] = re.sub(r"\$\{now:[^}]*\}", "<time>", folder)
            continue
        node = OmegaConf.select(config, key)
        values[key] = plain(OmegaConf.to_container(node) if OmegaConf.is_config(node) else node)
    return values
