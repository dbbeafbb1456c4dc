"""A recipe's code as one digest: what was made by other code is not what this code makes."""

from __future__ import annotations

import hashlib
import inspect
import sys
from pathlib import Path

from tunebook.plugins.contract import family_of


def own_code(recipe_class: type) -> str:
    """Digest of the Python files in the packages of a recipe's classes, up to its family.

    A class in a module without a package has that file alone. What it imports from elsewhere is not looked at.
    """
    files: set[Path] = set()
    for cls in recipe_class.__mro__[: recipe_class.__mro__.index(family_of(recipe_class))]:
        source = inspect.getsourcefile(cls)
        if source:
            packaged = getattr(sys.modules.get(cls.__module__), "__package__", "")
            files |= set(Path(source).parent.rglob("*.py")) if packaged else {Path(source)}
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()
