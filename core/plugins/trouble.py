"""What is wrong with a recipe, as far as it can be told without importing it."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tunebook.errors import UserError
from tunebook.plugins.class_source import classes, config_fault, family_fault, parsed
from tunebook.plugins.find import Found
from tunebook.plugins.private import PACKAGE, VARIABLE


@dataclass(frozen=True)
class Trouble:
    """Why a recipe cannot be used.

    Attributes:
        what: The reason in a few words.
        fix: What its author or its user can do.
        where: File and line, where there is one.
        whole: Whether nothing of it can be checked: it is missing, or it is not known which one is meant.
    """

    what: str
    fix: str
    where: str = ""
    whole: bool = False

    def error(self, found: Found) -> UserError:
        """The message for whoever chose the recipe."""
        where = f"{found.distribution}, {self.where}" if self.where else found.distribution
        return UserError(
            f"The recipe '{found.name}' cannot be used: {self.what}",
            code="recipe.not-usable",
            where=where,
            fix=self.fix,
        )


def trouble(found: Found) -> Trouble | None:
    """What is wrong with a recipe's name, code or page; None where nothing is to be seen."""
    return code_trouble(found) or page_trouble(found) or _class_trouble(found)


def _class_trouble(found: Found) -> Trouble | None:
    """What is wrong between a recipe's class, its options and its page."""
    if found.source is None or found.yaml is None:
        return None
    tree = parsed(found.source)
    contract_violation = family_fault(tree, found.attribute, found.yaml.read_text(encoding="utf-8"))
    place = found.yaml
    if contract_violation is None:
        contract_violation, place = config_fault(tree, found.attribute), found.source
    return (
        Trouble(contract_violation[0], contract_violation[1], f"{place}:{contract_violation[2]}")
        if contract_violation
        else None
    )


def code_trouble(found: Found) -> Trouble | None:
    """What is wrong with a recipe's name or code; a bundle needs no more of it."""
    if found.rivals:
        others = ", ".join(sorted(r.distribution for r in found.rivals))
        fix = f"uninstall one of them, take a folder out of {VARIABLE}, or rename a recipe and its YAML"
        return Trouble(f"{others} offers a recipe named '{found.name}' too", fix, whole=True)
    if not all(part.isidentifier() for part in found.module.split(".")):
        private = found.module.startswith(PACKAGE)
        what = "its folder's name is not a Python name" if private else f"'{found.code}' is not a module"
        return Trouble(
            what, "rename it: letters, digits and _" if private else "write package.module:Class", found.code
        )
    if found.home is None and not _is_installed(found.module.split(".")[0]):
        return Trouble(f"there is no package '{found.module.split('.')[0]}'", "reinstall it", found.code, whole=True)
    return _source_trouble(found.source, found.attribute) if found.source else None


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError, AttributeError):
        return False


def _source_trouble(source: Path, attribute: str) -> Trouble | None:
    from tunebook.recipe import CONTRACT_VERSION

    try:
        tree = parsed(source)
    except SyntaxError as error:
        return Trouble(f"its code has a syntax error: {error.msg}", "correct it there", f"{source}:{error.lineno}")
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        return Trouble(f"its code cannot be read: {error}", "correct it there", str(source))
    for version, line in _contracts(tree, attribute):
        if version > CONTRACT_VERSION:
            return newer(version, f"{source}:{line}")
    return None


def newer(version: int, where: str) -> Trouble:
    """The trouble of a recipe that was written for a later Tunebook."""
    from tunebook.recipe import CONTRACT_VERSION

    what = f"it is written for version {version} of the contract, and this Tunebook has {CONTRACT_VERSION}"
    return Trouble(what, "upgrade tunebook, or install an earlier version of the recipe", where, whole=True)


def _contracts(tree: ast.Module, attribute: str) -> Iterator[tuple[int, int]]:
    """Each ``contract = <number>`` in the class of a recipe, and its line; in all classes where none is named."""
    for node in classes(tree, attribute):
        for statement in node.body:
            targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
            value = getattr(statement, "value", None)
            named = any(isinstance(t, ast.Name) and t.id == "contract" for t in targets)
            if named and isinstance(value, ast.Constant) and isinstance(value.value, int):
                yield value.value, statement.lineno


def page_trouble(found: Found) -> Trouble | None:
    """What is wrong with a recipe's YAML: syntax, name, and keys of everything but its own options.

    The keys of one that ships are not compared: that takes the options of its family, a third of the time of `list`.
    """
    page = found.yaml
    if page is None:
        missing = f"conf/recipe/{found.name}.yaml"
        return Trouble(f"its {missing} is missing", f"add {missing} to its package", whole=True)
    if found.shipped:
        return None
    try:
        return _page_trouble(page, found)
    except Exception as error:  # a stranger's file may hold anything
        said = " ".join(str(error).split())
        return Trouble(f"its YAML cannot be read: {type(error).__name__}: {said}", "correct it there", str(page))


def _page_trouble(page: Path, found: Found) -> Trouble | None:
    from omegaconf import OmegaConf
    from yaml import YAMLError

    from tunebook.composing.command import Command
    from tunebook.composing.errors import explain, is_config_error

    text = page.read_text(encoding="utf-8")
    try:
        command = Command.of("train", [f"recipe={found.name}"], {found.name: found})
    except UserError as error:  # of the family that it takes in
        return Trouble(_in_a_row(error.what), error.fix or "correct it there", f"{page}:{line_of(text, 'defaults')}")
    try:
        content: Any = OmegaConf.load(page)
        if not OmegaConf.is_dict(content):
            return Trouble("its YAML has no keys", "correct it there", str(page))
        if not _is_global(text):
            if "recipe" in content or (
                "name" not in content and {field.name for field in fields(command.schema)} & content.keys()
            ):
                first = "# @package _global_"
                return Trouble(f"the first line of its YAML is not `{first}`", f"write {first} above all", f"{page}:1")
            content = OmegaConf.create({"recipe": content})
        for key in ("defaults", "hydra"):
            content.pop(key, None)
        OmegaConf.merge(_schema(command.schema, frozenset(content)), content)
        plain = OmegaConf.to_container(content)
    except Exception as error:
        if not is_config_error(error):
            raise
        told = explain(error, command)
        # A syntax error has its place; all others name a key.
        place = told.where or page if isinstance(error, YAMLError) else f"{page}:{line_of(text, str(told.where))}"
        return Trouble(_in_a_row(told.what), told.fix or "correct it there", str(place))
    node = plain.get("recipe") if isinstance(plain, dict) else None
    said = node.get("name") if isinstance(node, dict) else None
    if said != found.name:
        what = f"its YAML sets recipe.name to '{said}'" if said else "its YAML sets no recipe.name"
        return Trouble(what, f"write recipe.name: {found.name}", f"{page}:{line_of(text, 'recipe.name')}")
    return None


def _in_a_row(what: str) -> str:
    """A sentence as part of another."""
    return what[:1].lower() + what[1:].rstrip(".")


def _schema(schema: type, keys: frozenset[str]) -> Any:
    """What a page must fit: the schema of its runs, where Hydra was given it already; else the parts that it sets."""
    from omegaconf import OmegaConf

    from tunebook.composing.schemas import part, structured

    hydra = sys.modules.get("hydra.core.config_store")  # `list` does without Hydra
    stored = hydra.ConfigStore.instance().repo.get("base_train.yaml") if hydra else None
    return stored.node if stored and OmegaConf.get_type(stored.node) is schema else structured(part(schema, keys))


def _is_global(text: str) -> bool:
    """Whether a page says that its keys are those of the whole config, as Hydra reads it."""
    for line in filter(None, map(str.strip, text.splitlines())):
        header = re.match(r"#+\s*@(\w+)\s+(\S+)$", line)
        if header is None:
            return False
        if header.groups() == ("package", "_global_"):
            return True
    return False


def line_of(text: str, key: str) -> int:
    """The line of a dotted key in a YAML text, or of the nearest key above it that is there; from 1."""
    import yaml

    node, line = yaml.compose(text, Loader=yaml.SafeLoader), 1
    for part in key.split("."):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        found = next(((k, v) for k, v in pairs if k.value == part), None)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line
