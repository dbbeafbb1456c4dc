"""An exception that a recipe's own code raised, reported with its own line."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from tunebook.errors import UserError
from tunebook.plugins.find import Found, offers

TRACEBACK = "TUNEBOOK_TRACEBACK"
"""Variable of the environment that asks for the whole traceback."""
_CORE = Path(__file__).parent.parent


def recipe_failure(error: BaseException) -> UserError | None:
    """What a recipe's own code raised, with its last line; None for what others raised.

    Where a library raised it, whoever called the library counts: the recipe, or Tunebook.
    """
    # A lack of memory is no mistake in anybody's code.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or os.environ.get(TRACEBACK):
        return None
    imported = list(_imported())
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        found = next((f for f, places in imported if any(file.is_relative_to(p) for p in places)), None)
        if found:
            said = " ".join(str(error).split())
            fix = f"fix its code; {TRACEBACK}=1 in the environment shows the whole traceback"
            if isinstance(error, TypeError) and said.startswith("UserError.__init__()"):
                fix = f"write UserError('what is wrong', code='{found.name}.<mistake>', where='key or file', fix='...')"
            return UserError(
                f"The recipe '{found.name}' failed in its `{frame.name}`: {type(error).__name__}: {said}",
                code="recipe.code-failed",
                where=f"{found.distribution}, {file}:{frame.lineno}",
                fix=fix,
            )
        if file.is_relative_to(_CORE):
            return None
    return None


def _imported() -> Iterator[tuple[Found, list[Path]]]:
    """The recipes whose modules this process has imported, and where their code lies."""
    for found in offers():
        module = sys.modules.get(found.module)
        if module is not None:
            file = getattr(module, "__file__", None)
            yield found, [place for place in (found.home, Path(file) if file else None) if place]
