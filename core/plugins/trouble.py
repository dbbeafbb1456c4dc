"""What is wrong with a recipe's name or code, as far as it can be seen without importing it."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tunebook.errors import UserError
from tunebook.plugins.class_source import classes, parsed, several_fault
from tunebook.plugins.find import Found
from tunebook.plugins.private import PACKAGE, VARIABLE
from tunebook.recipe import CONTRACT_VERSION


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
    try:
        tree = parsed(source)
    except SyntaxError as error:
        return Trouble(f"its code has a syntax error: {error.msg}", "correct it there", f"{source}:{error.lineno}")
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        return Trouble(f"its code cannot be read: {error}", "correct it there", str(source))
    for version, line in _contracts(tree, attribute):
        if version > CONTRACT_VERSION:
            return newer(version, f"{source}:{line}")
    several = several_fault(tree, attribute)
    if several:
        what, fix, line = several
        return Trouble(what, fix, f"{source}:{line}")
    return None


def newer(version: int, where: str) -> Trouble:
    """The trouble of a recipe that was written for a later Tunebook."""
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
