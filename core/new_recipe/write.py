"""Write a recipe to start from: a package, or a folder for a private one."""

from __future__ import annotations

import importlib.util
import keyword
import os
import shlex
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tunebook import __version__
from tunebook.errors import UserError
from tunebook.files import folder_written_whole
from tunebook.new_recipe.samples import write_samples
from tunebook.plugins import find_recipes
from tunebook.plugins.private import VARIABLE
from tunebook.recipe import CONTRACT_VERSION

FAMILIES = {
    "text_classification": "Puts a label on a text.",
    "image_classification": "Puts a label on an image.",
    "text_generation": "Writes the next turn of a conversation.",
    "text_regression": "Answers a text with a number.",
}
"""Family -> what its recipe is said to do, until its author says it better."""

LONGEST = 64
"""Letters of a name; file systems take 255 bytes, of which a run's folders and files need some."""

_ROWS = {
    "text_classification": "rows.csv",
    "image_classification": "images.csv",
    "text_generation": "chats.jsonl",
    "text_regression": "rows.csv",
}


@dataclass(frozen=True)
class NewRecipe:
    """A recipe that is to be written.

    Attributes:
        name: Its name, and that of its package.
        family: One of `FAMILIES`.
        private: Whether it is a folder without packaging.
        folder: Where it is written.
    """

    name: str
    family: str
    private: bool
    folder: Path

    @property
    def words(self) -> dict[str, object]:
        """What the templates are filled with."""
        samples = "samples/" if self.private else f"{self.name}/samples/"
        return {
            "name": self.name,
            "class_name": "".join(part.capitalize() for part in self.name.split("_")),
            "project": self.name.replace("_", "-"),
            "summary": FAMILIES[self.family],
            "rows": _ROWS[self.family],
            "samples": samples,
            "private": self.private,
            "where": self.folder,
            "contract": CONTRACT_VERSION,
            "version": _version(),
        }

    @property
    def files(self) -> dict[str, str]:
        """Path within the folder -> template."""
        inner = "" if self.private else f"{self.name}/"
        files = {
            f"{inner}{'recipe' if self.private else '__init__'}.py": f"{self.family}.py.jinja",
            f"{inner}conf/recipe/{self.name}.yaml": f"{self.family}.yaml.jinja",
            "README.md": "README.md.jinja",
        }
        if not self.private:
            files |= {"pyproject.toml": "pyproject.toml.jinja", f"tests/test_{self.name}.py": "test.py.jinja"}
        return files


def _version() -> str:
    return __version__


def plan_recipe(name: str, family: str, private: bool, into: Path) -> NewRecipe:
    """Check what is asked for; nothing is written.

    Raises:
        UserError: The name cannot be one, or is taken; the family is not known; the folder exists.
    """
    if family not in FAMILIES:
        near = get_close_matches(family, FAMILIES, n=1)
        hint = f"did you mean --family {near[0]}? " if near else ""
        raise UserError(
            f"There is no family '{family}'.",
            code="command.unknown-choice",
            where=f"--family {family}",
            fix=f"{hint}the families are: {', '.join(FAMILIES)}",
        )
    _check_name(name, private)
    folder = (into / (name if private else name.replace("_", "-"))).absolute()
    if not into.is_dir():
        raise UserError(
            "The folder to write into is missing.",
            code="file.missing-folder",
            where=f"--into {into}",
            fix="create it first",
        )
    if folder.exists():
        raise UserError(
            "There is such a folder already; nothing is written over.",
            code="file.exists",
            where=str(folder),
            fix="choose another name, or another place with --into <folder>",
        )
    return NewRecipe(name, family, private, folder)


def _check_name(name: str, private: bool) -> None:
    plain = name.isascii() and name.isidentifier() and not keyword.iskeyword(name) and name == name.lower()
    if not plain or name.startswith("_"):
        shaped = "".join(c if c.isalnum() else "_" for c in name.lower() if c.isascii()).strip("_0123456789")
        hint = f"such as {shaped}" if shaped.isidentifier() and not keyword.iskeyword(shaped) else "such as my_recipe"
        raise UserError(
            f"'{name}' is not a valid recipe name.",
            code="recipe.bad-name",
            where=name,
            fix=f"lower-case letters, digits and _, a letter first, and not a Python keyword: {hint}",
        )
    if len(name) > LONGEST:
        raise UserError(
            f"The name has {len(name)} letters, and files are called by it.",
            code="recipe.bad-name",
            where=f"{name[:20]}...",
            fix=f"choose one of at most {LONGEST}",
        )
    taken = find_recipes().get(name)
    if taken is not None:
        raise UserError(
            f"There is a recipe named '{name}' already.",
            code="recipe.name-taken",
            where=taken.distribution,
            fix="choose another name",
        )
    if not private and importlib.util.find_spec(name) is not None:
        raise UserError(
            f"There is a Python module named '{name}' already, which the package would hide or be hidden by.",
            code="recipe.name-taken",
            where=str(getattr(importlib.util.find_spec(name), "origin", "") or name),
            fix=f"choose another name, such as {name}_recipe, or write a private folder with --folder",
        )


def write_recipe(recipe: NewRecipe) -> list[str]:
    """Write all files of a recipe, or none; returns their paths within its folder."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    with folder_written_whole(recipe.folder) as beside:
        for name, template in recipe.files.items():
            path = beside / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(templates.get_template(template).render(recipe.words), encoding="utf-8")
        write_samples(recipe.family, beside / str(recipe.words["samples"]))
    return sorted(str(path.relative_to(recipe.folder)) for path in recipe.folder.rglob("*") if path.is_file())


def next_commands(recipe: NewRecipe) -> list[str]:
    """What to type next."""
    shown = os.path.relpath(recipe.folder)
    shown = str(recipe.folder) if shown.startswith(os.pardir) else shown
    if recipe.private:
        others = f"${{{VARIABLE}:+:${VARIABLE}}}"
        first = [f'export {VARIABLE}={shlex.quote(str(recipe.folder))}"{others}"']
    else:
        first = [f"cd {shlex.quote(shown)}", "pip install -e ."]
    return [
        *first,
        "tunebook list",
        f"tunebook verify {recipe.name}",
        f"tunebook train recipe={recipe.name}",
        f"tunebook check recipe={recipe.name} data.train={_ROWS[recipe.family]}",
    ]
