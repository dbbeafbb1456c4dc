"""What a recipe's source says of its class: the family that it derives from, and its Config; read, not imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

FAMILIES = {
    "TextAspects": "text_aspects",
    "TextClassification": "text_classification",
    "ImageClassification": "image_classification",
    "TextGeneration": "text_generation",
    "TextLabels": "text_labels",
    "BriefToText": "brief_to_text",
    "TextRegression": "text_regression",
}
"""Class of a family -> its name, which its options on a page go by."""
FAMILY_ON_PAGE = re.compile(r"^\s*-\s*/family/(\w+)@recipe\b", re.M)

ONE_CLASS = "keep one class in it that derives from one of tunebook's families; move others to a file beside it"

# What is wrong, how to fix it, and the line.
Fault = tuple[str, str, int]


def parsed(source: Path) -> ast.Module:
    """A file's syntax tree, made once for each state of the file."""
    status = source.stat()
    return _parsed(source, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _parsed(source: Path, changed: int, size: int) -> ast.Module:
    return ast.parse(source.read_bytes())


def classes(tree: ast.Module, attribute: str) -> Iterator[ast.ClassDef]:
    """The class of a recipe; all classes of its module where none is named."""
    yield from (node for node in tree.body if isinstance(node, ast.ClassDef) and attribute in ("", node.name))


def family_fault(tree: ast.Module, attribute: str, page: str) -> Fault | None:
    """A page that takes in the options of another family than the class derives from; the line is the page's."""
    taken = FAMILY_ON_PAGE.search(page)
    for node in classes(tree, attribute):
        for name, _ in _bases(node):
            own = "family" in set(_set_in(node))  # of a package of its own, perhaps
            if taken and not own and name in FAMILIES and taken.group(1) != FAMILIES[name]:
                what = f"its page takes in /family/{taken.group(1)}@recipe, and its class derives from {name}"
                fix = f"write /family/{FAMILIES[name]}@recipe there, or derive the class from another family"
                return what, fix, page[: taken.start(1)].count("\n") + 1
    return None


def config_fault(tree: ast.Module, attribute: str) -> Fault | None:
    """A class that names options of its own and does not set them as its ``Config``; the line is the class's."""
    for node in classes(tree, attribute):
        for name, options in _bases(node):
            if name in FAMILIES and "Config" not in set(_set_in(node)):
                own = options if options in _known(tree) else _options_in(tree, f"{name}Config") if not options else ""
                if own and own != f"{name}Config":
                    what = f"its class {node.name} does not say that {own} is its Config"
                    return what, f"write in the class: Config = {own}", node.lineno
    return None


def several_fault(tree: ast.Module, attribute: str) -> Fault | None:
    """Several classes of a module that derive from a family, where none of them is named; the line is the last one's.

    A family of another package is not known by its name, and what derives from it is seen when it is imported.
    """
    found: dict[str, int] = {}
    for node in classes(tree, attribute) if not attribute else ():
        if any(name in FAMILIES or name in found or name == "Recipe" for name, _ in _bases(node)):
            found[node.name] = node.lineno
    if len(found) < 2:
        return None
    names = " and ".join(f"{name} (line {line})" for name, line in found.items())
    return f"its module defines {names}", ONE_CLASS, max(found.values())


def base_names(tree: ast.Module, attribute: str) -> list[str]:
    """What the class of a recipe derives from."""
    return [name for node in classes(tree, attribute) for name, _ in _bases(node)]


def _bases(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Each class that another derives from, and what stands in its brackets."""
    for base in node.bases:
        of, options = (base.value, base.slice) if isinstance(base, ast.Subscript) else (base, None)
        yield _last_name(of), _last_name(options)


def _last_name(node: ast.expr | None) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _set_in(node: ast.ClassDef) -> Iterator[str]:
    for statement in node.body:
        if isinstance(statement, ast.ClassDef):
            yield statement.name
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def _known(tree: ast.Module) -> set[str]:
    """Classes that a module defines."""
    return {node.name for node in tree.body if isinstance(node, ast.ClassDef)}


def _options_in(tree: ast.Module, family: str) -> str:
    """The one class of a module that derives from a family's options; empty where there is none, or several."""
    own = [node.name for node in classes(tree, "") if family in [name for name, _ in _bases(node)]]
    return own[0] if len(own) == 1 else ""
