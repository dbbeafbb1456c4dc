"""What is wrong with a recipe, its page among it, as far as it can be seen without importing it."""

from __future__ import annotations

import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from yaml import YAMLError

from tunebook.composing.command import Command
from tunebook.composing.errors import explain, is_config_error
from tunebook.composing.schemas import part, structured
from tunebook.errors import UserError
from tunebook.plugins.class_source import config_fault, family_fault, parsed
from tunebook.plugins.find import Found
from tunebook.plugins.listed import line_of
from tunebook.plugins.trouble import Trouble, code_trouble


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
    text = page.read_text(encoding="utf-8")
    try:
        command = Command.of("train", [f"recipe={found.name}"], {found.name: found})
    except UserError as error:  # of the family that it takes in
        return Trouble(_in_a_row(error.what), error.fix or "correct it there", f"{page}:{line_of(text, 'defaults')}")
    try:
        content: Any = OmegaConf.load(page)
        if not OmegaConf.is_dict(content):
            return Trouble("its YAML has no keys", "correct it there", str(page))
        if not is_global(text):
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
        message = explain(error, command)
        # A syntax error has its place; all others name a key.
        place = message.where or page if isinstance(error, YAMLError) else f"{page}:{line_of(text, str(message.where))}"
        return Trouble(_in_a_row(message.what), message.fix or "correct it there", str(place))
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
    hydra = sys.modules.get("hydra.core.config_store")  # `list` does without Hydra
    stored = hydra.ConfigStore.instance().repo.get("base_train.yaml") if hydra else None
    return stored.node if stored and OmegaConf.get_type(stored.node) is schema else structured(part(schema, keys))


def is_global(text: str) -> bool:
    """Whether a page says that its keys are those of the whole config, as Hydra reads it."""
    for line in filter(None, map(str.strip, text.splitlines())):
        header = re.match(r"#+\s*@(\w+)\s+(\S+)$", line)
        if header is None:
            return False
        if header.groups() == ("package", "_global_"):
            return True
    return False
