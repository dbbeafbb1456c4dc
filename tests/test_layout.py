"""The shape of the house: which way imports go, one name in four places, a docstring on every door."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

import tunebook
from tunebook.plugins import find_recipes, load_recipe_class

ROOT = Path(__file__).parent.parent
OURS = sorted(p.name for p in (ROOT / "recipes").iterdir() if (p / "recipe.py").is_file())
HEAVY = {"torch", "lightning", "transformers", "torchmetrics", "scipy", "sklearn", "pandas", "matplotlib", "datasets"}


def modules(folder: str) -> list[Path]:
    return sorted(p for p in (ROOT / folder).rglob("*.py") if "__pycache__" not in p.parts)


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Each module that a file imports, and whether for the type checker alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in typing_only) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or ""), id(node) in typing_only


@pytest.mark.parametrize("path", modules("core"), ids=lambda p: str(p.relative_to(ROOT)))
def test_core_names_no_recipe(path: Path) -> None:
    assert not [name for name, _ in imports(path) if name.startswith("tunebook.recipes")]
    text = path.read_text(encoding="utf-8")
    code = ast.unparse(_without_docstrings(ast.parse(text)))
    # The usage text shows one recipe as an example; no other code may know one.
    assert path == ROOT / "core/cli/main.py" or not [name for name in OURS if name in code]


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            body[0] = ast.Pass()
    return tree


@pytest.mark.parametrize("path", modules("recipes"), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_recipe_imports_what_a_stranger_could(path: Path) -> None:
    """`from tunebook import ...` and its own folder: so it can be copied out and become a plugin."""
    for name, typing_only in imports(path):
        inside = name == "tunebook" or not name.startswith("tunebook") or typing_only
        assert inside and not name.startswith(".."), f"{path.name} imports {name}"


@pytest.mark.parametrize("name", OURS)
def test_one_name_in_four_places_and_one_entry_point(name: str) -> None:
    for place in (f"conf/recipe/{name}.yaml", f"tests/recipes/test_{name}.py", f"docs/recipes/{name}.md"):
        assert (ROOT / place).is_file(), f"{place} is missing"
    values = {entry.value.split(":")[0] for entry in entry_points(group="tunebook.recipes", name=name)}
    assert values == {f"tunebook.recipes.{name}.recipe"}


def test_no_place_is_left_from_a_recipe_that_is_gone() -> None:
    for pattern in ("conf/recipe/*.yaml", "tests/recipes/test_*.py", "docs/recipes/*.md"):
        assert {p.stem.removeprefix("test_") for p in ROOT.glob(pattern)} == set(OURS), pattern


def plain_values(config: Any) -> dict[Any, Any]:
    plain = OmegaConf.to_container(config)
    assert isinstance(plain, dict)
    return plain


@pytest.mark.parametrize("name", OURS)
def test_the_page_of_a_recipe_lists_every_option_and_opens_with_its_command(name: str) -> None:
    page = find_recipes()[name].yaml
    assert page is not None
    recipe_class = load_recipe_class(name)
    shared: Any = OmegaConf.load(ROOT / "conf/family" / f"{recipe_class.family.name}.yaml")
    conf: Any = OmegaConf.load(page)
    assert f"/family/{recipe_class.family.name}@recipe" in conf.defaults
    node = OmegaConf.merge(shared, conf.recipe)
    config_class = recipe_class.Config
    assert {str(key) for key in node} == {option.name for option in fields(config_class)}
    assert node.name == name
    # YAML and dataclass may not say two things.
    default = OmegaConf.structured(config_class)
    said = OmegaConf.merge(default, node)
    assert plain_values(said) == {**plain_values(default), "name": name}
    header = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    assert any(f"tunebook train recipe={name}" in line for line in header)


@pytest.mark.parametrize(
    "path", [*modules("core"), *modules("recipes"), *modules("conf")], ids=lambda p: str(p.relative_to(ROOT))
)
def test_every_module_has_a_docstring_and_stays_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "a module opens with a sentence on what it is for"
    assert len(text.splitlines()) <= 300, "over 300 lines: it has more than one subject"


def test_every_folder_of_code_is_a_package() -> None:
    folders = {path.parent for path in [*modules("core"), *modules("recipes")]}
    assert not [str(folder) for folder in folders if not (folder / "__init__.py").is_file()]


def test_the_public_names_all_resolve() -> None:
    assert sorted(tunebook.__all__) == sorted(dir(tunebook))
    for name in tunebook.__all__:
        assert getattr(tunebook, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = tunebook.Nothing


def test_the_type_checker_sees_the_same_public_names() -> None:
    tree = ast.parse((ROOT / "core/__init__.py").read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(tunebook.__all__) - {"__version__"}


def test_importing_tunebook_its_command_line_and_its_contract_costs_nothing() -> None:
    names = ["tunebook", "tunebook.cli.main", "tunebook.recipe", "tunebook.families.text_classification.recipe"]
    code = f"import sys, {', '.join(names)}; print(*({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr


def test_the_static_tools_follow_the_link_to_core() -> None:
    assert (ROOT / ".typing/tunebook").resolve() == (ROOT / "core").resolve()
    assert Path(importlib.import_module("tunebook").__file__ or "").resolve() == ROOT / "core/__init__.py"
