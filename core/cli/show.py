"""`list`, `show` and the help of composing verbs: what there is, without importing torch."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from enum import Enum
from itertools import pairwise
from typing import Any, Literal, get_args, get_origin, get_type_hints

from tunebook.composing.command import BASES, Command, register_schemas
from tunebook.composing.own import family_of, own_config
from tunebook.composing.pages import trouble
from tunebook.composing.schemas import known_keys, nested, of_family, own_nodes
from tunebook.errors import UserError
from tunebook.plugins import find_recipes, load_recipe_class, offers, unknown_recipe
from tunebook.plugins.families import all_options
from tunebook.plugins.private import folder_notes


@dataclass(frozen=True)
class Option:
    """One config key as `show` prints it."""

    key: str
    type: str
    default: str
    help: str


def field_help(schema: type) -> dict[str, str]:
    """The string beneath each field of a dataclass, by field name; inherited fields included."""
    texts: dict[str, str] = {}
    for cls in reversed(schema.__mro__[:-1]):
        tree = ast.parse(inspect.getsource(cls).lstrip())
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for before, after in pairwise(body):
            is_field = isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name)
            if is_field and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                texts[before.target.id] = " ".join(str(after.value.value).split())  # type: ignore[attr-defined]
    return texts


def _type_name(kind: Any) -> str:
    parts = [p for p in get_args(kind) if p is not type(None)]
    if kind is Any:
        return "any"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(member.name for member in kind)
    if get_origin(kind) is Literal:
        return "|".join(map(str, get_args(kind)))
    if getattr(kind, "__origin__", None) in (list, dict):
        return f"{kind.__origin__.__name__} of {' to '.join(_type_name(p) for p in parts)}"
    if parts and getattr(kind, "__origin__", None) is None:
        return " or ".join(_type_name(p) for p in parts)
    return getattr(kind, "__name__", str(kind))


def _plain(value: Any) -> str:
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, list):
        return "[" + ", ".join(_plain(v) for v in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return {None: "null", "???": "(required)"}.get(value, str(value))


def schema_options(schema: type, prefix: str = "", skip: Sequence[str] = ()) -> Iterator[Option]:
    """Every leaf of a typed config, in the order written."""
    kinds, texts = get_type_hints(schema), field_help(schema)
    for f in fields(schema):
        inner = nested(kinds[f.name])
        if f.name in skip:
            continue
        if inner:
            yield from schema_options(inner, f"{prefix}{f.name}.")
            continue
        default = f.default_factory() if f.default_factory is not MISSING else f.default
        shown = "(required)" if default is MISSING else _plain(default)
        yield Option(f"{prefix}{f.name}", _type_name(kinds[f.name]), shown, texts.get(f.name, ""))


def _console(width: int | None = None) -> Any:
    from rich.console import Console

    # A pipe has no width: give it room, so that `tunebook show x | grep y` finds whole lines.
    return Console(width=width or (None if sys.stdout.isatty() else 160), highlight=False)


def _print_options(title: str, options: Sequence[Option]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("option", style="bold", no_wrap=True)
    table.add_column("type", overflow="fold")
    table.add_column("default", overflow="fold")
    table.add_column("help", overflow="fold", ratio=1)
    for option in options:
        table.add_row(*(t.replace("[", r"\[") for t in (option.key, option.type, option.default, option.help)))
    _console().print(table)


def _one_line(text: str) -> str:
    """A stranger's text without what a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in text)


def print_recipes(arguments: Sequence[str]) -> None:
    """`tunebook list`: one line a recipe, with what is wrong with it where that can be told without importing it."""
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


def print_recipe(arguments: Sequence[str]) -> None:
    """`tunebook show <recipe>`: its page's header, its own options, then everyone's."""
    if len(arguments) != 1:
        raise UserError(
            "`show` takes one recipe.",
            code="command.bad-arguments",
            fix=f"tunebook show {next(iter(find_recipes()), 'NAME')}",
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
    _print_options(f"options of {name}", list(schema_options(config, "recipe.")))
    command = Command.of("train", [f"recipe={name}"], known)
    if command.family is None:  # neither its page nor its source says so
        command = replace(command, family=family_of(name))
    schema = of_family(command.base, family_of(name).options)
    defaults = _composed_defaults(command, schema)
    options = [
        Option(o.key, o.type, defaults.get(o.key, o.default), o.help) for o in schema_options(schema, skip=("recipe",))
    ]
    _print_options("options of its runs, with this recipe's defaults", options)


def _composed_defaults(command: Command, schema: type) -> dict[str, str]:
    """The value of every key once the recipe's YAML has spoken."""
    from hydra import compose, initialize_config_module
    from omegaconf import OmegaConf

    from tunebook.composing.errors import explain, is_config_error
    from tunebook.composing.search_path import register_search_path

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
        values[key] = _plain(OmegaConf.to_container(node) if OmegaConf.is_config(node) else node)
    return values


def print_verb_help(verb: str) -> None:
    """`tunebook <verb> --help`; Hydra's own ends in a traceback where a group is mandatory."""
    needs = "bundle=<run or bundle> data.test=<rows>" if verb == "evaluate" else "recipe=<name>"
    print(f"usage: tunebook {verb} {needs} [key=value ...] [-m] [--cfg job]\n")
    if verb != "evaluate":
        print("recipes:", ", ".join(find_recipes()), "\n")
    base = BASES[verb]
    _print_options("options of every recipe", list(schema_options(base, skip=("recipe",))))
    for family, options in all_options().items():
        nodes = own_nodes(base, options)
        shared = set(known_keys(base))
        own = [o for node, kind in nodes.items() for o in schema_options(kind, f"{node}.") if o.key not in shared]
        if own:
            _print_options(f"options of {family} recipes besides", own)
