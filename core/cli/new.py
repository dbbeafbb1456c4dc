"""`tunebook new`: write a recipe to start from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunebook.cli.arguments import Arguments
from tunebook.errors import UserError
from tunebook.new_recipe.write import FAMILIES, next_commands, plan_recipe, write_recipe


def _parser() -> Arguments:
    parser = Arguments(
        "new",
        "tunebook new local_news --family text_classification",
        description="Write a recipe to start from: a package that pip installs, with a class, a page, sample rows and "
        "a test. It passes `tunebook verify` as written.",
    )
    parser.add_argument("name", help="name of the recipe and of its package: small letters, digits and _")
    parser.add_argument("--family", required=True, metavar="FAMILY", help=f"one of {', '.join(FAMILIES)}")
    parser.add_argument("--folder", action="store_true", help="a private recipe in a folder, without packaging")
    parser.add_argument("--into", metavar="DIR", default=".", help="folder to write into (default: here)")
    return parser


def new_command(arguments: Sequence[str]) -> None:
    """Write the files, and say what to type next."""
    options = _parser().read(arguments)
    recipe = plan_recipe(options.name, options.family, options.folder, Path(options.into))
    try:
        files = write_recipe(recipe)
    except OSError as error:
        raise UserError(
            f"The recipe cannot be written: {error.strerror or error}.",
            code="file.not-writable",
            where=str(recipe.folder),
            fix="free some space, or choose another place with --into <folder>",
        ) from error
    shown = [name for name in files if not name.endswith(".png")]
    pictures = len(files) - len(shown)
    print(f"made {recipe.folder}:")
    print("\n".join(f"  {name}" for name in shown) + (f"\n  and {pictures} pictures" if pictures else ""))
    print("\nnext:")
    print("\n".join(f"  {command}" for command in next_commands(recipe)))
