"""Import the chosen recipe: a stranger's code, which may raise, hang or hold something else."""

from __future__ import annotations

import importlib
import inspect
import io
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import reduce
from threading import Timer
from typing import TYPE_CHECKING, Any

from tunebook.errors import UserError
from tunebook.interruption import Terminated
from tunebook.plugins.class_source import ONE_CLASS
from tunebook.plugins.contract import BrokenContract, check_class, place_of
from tunebook.plugins.find import Found, find_recipes, unknown_recipe
from tunebook.plugins.private import PACKAGE
from tunebook.plugins.trouble import code_trouble, newer
from tunebook.recipe import CONTRACT_VERSION, Recipe

if TYPE_CHECKING:
    from types import ModuleType

_PATIENCE = 5.0  # seconds; importing torch takes about as long


def load_recipe_class(name: str) -> type[Recipe[Any]]:
    """Import the chosen recipe, and only that one.

    Raises:
        UserError: Nobody offers it, several do, it was written for a later Tunebook, or importing it fails; the
            message names the distribution or the folder.
    """
    known = find_recipes()
    if name not in known:
        raise unknown_recipe(name, known)
    found = known[name]
    wrong = code_trouble(found)
    if wrong:
        raise wrong.error(found)
    try:
        with _noted_when_slow(found), _kept_off_the_output(found):
            module = importlib.import_module(found.module)
            named = reduce(getattr, found.attribute.split("."), module) if found.attribute else None
    except (KeyboardInterrupt, Terminated):
        raise
    except BaseException as error:  # a stranger's code may raise anything
        raise _not_imported(found, error) from error
    return _checked(found, named if found.attribute else _only(found, module))


@contextmanager
def _noted_when_slow(found: Found) -> Iterator[None]:
    """Say on standard error which import it is that takes so long; it goes on."""
    said = f"the recipe '{found.name}' is still being imported ({found.distribution}); Ctrl-C stops it"
    timer = Timer(_PATIENCE, lambda: print(said, file=sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def new_recipe(recipe_class: type[Recipe[Any]], options: Any) -> Recipe[Any]:
    """The recipe with its checked options.

    Raises:
        BrokenContract: Its ``__init__`` loses them.
    """
    made = recipe_class(options)
    if getattr(made, "options", None) is not options:
        raise BrokenContract(
            f"The recipe '{options.name}' breaks the contract: its `__init__` does not keep the options",
            where=place_of(recipe_class.__init__, recipe_class),
            fix="call super().__init__(options) in it, or leave it out",
        )
    return made


class _Diverted(io.TextIOBase):
    """Standard output while a recipe is imported: what is printed goes to standard error.

    Attributes:
        place: File and line in the recipe's own code that printed first; "" where nothing was printed.
    """

    def __init__(self, found: Found) -> None:
        self._found = found
        self.place = ""

    def write(self, text: str) -> int:
        """Pass a text on."""
        self.place = self.place or _own_place(self._found, traceback.extract_stack()) or self._found.code
        return sys.stderr.write(text)


@contextmanager
def _kept_off_the_output(found: Found) -> Iterator[None]:
    """Name a recipe that prints while it is imported; its lines would stand among the answers of `predict`."""
    output = _Diverted(found)
    with redirect_stdout(output):
        yield
    if output.place:
        print(
            f"note: the recipe '{found.name}' prints when it is imported ({found.distribution}, {output.place}); "
            "print inside its methods instead",
            file=sys.stderr,
        )


def _only(found: Found, module: ModuleType) -> Any:
    """The one recipe that a module defines itself; those it imports, such as its family, do not count."""
    own = [c for c in vars(module).values() if isinstance(c, type) and c.__module__ == module.__name__]
    recipes = [c for c in dict.fromkeys(own) if issubclass(c, Recipe)]
    if len(recipes) != 1:
        lines = {c.__name__: inspect.getsourcelines(c)[1] for c in recipes}
        names = " and ".join(f"{name} (line {line})" for name, line in lines.items())
        line = f":{max(lines.values())}" if lines else ""
        raise UserError(
            f"The recipe '{found.name}' must be one class, and its module defines {names or 'none'}.",
            code="recipe.not-one-class",
            where=f"{found.distribution}, {found.source or found.module}{line}",
            fix=ONE_CLASS,
        )
    return recipes[0]


def _not_imported(found: Found, error: BaseException) -> UserError:
    """The error for a recipe whose import failed: the traceback's last line, and the last place that is its own."""
    said = " ".join(str(error).split())
    private = found.module.startswith(PACKAGE)
    fix = "fix its code" if private else f"fix or reinstall {found.distribution.split()[0]}"
    if isinstance(error, ModuleNotFoundError) and error.name and private and found.home:
        beside = error.name.split(".")[0]
        if (found.home / f"{beside}.py").is_file() or (found.home / beside).is_dir():
            fix = f"it lies beside recipe.py: write `from . import {beside}` or `from .{beside} import ...`"
    return UserError(
        f"The recipe '{found.name}' cannot be imported: {type(error).__name__}{': ' if said else ''}{said}",
        code="recipe.import-failed",
        where=f"{found.distribution}, {_place(found, error)}",
        fix=fix,
    )


def _place(found: Found, error: BaseException) -> str:
    """File and line where an import failed, in the recipe's own package if it got that far."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    return _own_place(found, traceback.extract_tb(error.__traceback__)) or found.code


def _own_place(found: Found, frames: Sequence[traceback.FrameSummary]) -> str:
    """File and line of the innermost frame in the recipe's own package; "" where there is none."""
    own = [f for f in frames if found.home and f.filename.startswith(str(found.home))]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else ""


def _checked(found: Found, loaded: Any) -> type[Recipe[Any]]:
    """Refuse what is no recipe, or one for a later Tunebook."""
    if not (isinstance(loaded, type) and issubclass(loaded, Recipe)):
        raise UserError(
            f"The entry point of '{found.name}' is not a Recipe class.",
            code="recipe.not-a-recipe",
            where=f"{found.distribution}, {found.code}",
            fix="point it at a class that derives from one of tunebook's families",
        )
    if not isinstance(loaded.contract, int) or loaded.contract > CONTRACT_VERSION:
        raise newer(loaded.contract, found.code).error(found)
    check_class(loaded, found.name, found.distribution)
    return loaded
