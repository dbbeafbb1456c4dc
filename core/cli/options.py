"""The keys of typed configs as `show` and the help of composing verbs print them, without importing torch."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, fields
from enum import Enum
from itertools import pairwise
from typing import Any, Literal, get_args, get_origin, get_type_hints

from rich import box
from rich.table import Table

from tunebook.cli.console import console
from tunebook.composing.command import BASES
from tunebook.composing.schemas import known_keys, nested, own_nodes
from tunebook.plugins import find_recipes
from tunebook.plugins.families import all_families


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


def plain(value: Any) -> str:
    """A value as YAML has it."""
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, list):
        return "[" + ", ".join(plain(v) for v in value) + "]"
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
        shown = "(required)" if default is MISSING else plain(default)
        yield Option(f"{prefix}{f.name}", _type_name(kinds[f.name]), shown, texts.get(f.name, ""))


def print_options(title: str, options: Sequence[Option]) -> None:
    """A table of options."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("option", style="bold", no_wrap=True)
    table.add_column("type", overflow="fold")
    table.add_column("default", overflow="fold")
    table.add_column("help", overflow="fold", ratio=1)
    for option in options:
        table.add_row(*(t.replace("[", r"\[") for t in (option.key, option.type, option.default, option.help)))
    console(160).print(table)


def print_verb_help(verb: str) -> None:
    """`tunebook <verb> --help`; Hydra's own ends in a traceback where a group is mandatory."""
    needs = "bundle=<run or bundle> data.test=<rows>" if verb == "evaluate" else "recipe=<name>"
    print(f"usage: tunebook {verb} {needs} [key=value ...] [-m] [--cfg job]\n")
    if verb != "evaluate":
        print("recipes:", ", ".join(find_recipes()), "\n")
    base = BASES[verb]
    print_options("options of every recipe", list(schema_options(base, skip=("recipe",))))
    for name, family in all_families().items():
        nodes = own_nodes(base, family)
        shared = set(known_keys(base))
        own = [o for node, kind in nodes.items() for o in schema_options(kind, f"{node}.") if o.key not in shared]
        if own:
            print_options(f"options of {name} recipes only", own)
