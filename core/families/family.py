"""A family: what all recipes of a kind share, found by name like a recipe."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar

from tunebook.families.options import FamilyOptions


class Family(ABC):
    """What all recipes of a kind share; the value that an entry point of the group ``tunebook.families`` names.

    Attributes:
        name: What a recipe's page takes in: ``/family/<name>@recipe``.
        options: The typed options of its recipes.
    """

    name: ClassVar[str]
    options: ClassVar[FamilyOptions]
