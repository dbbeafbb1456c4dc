"""The family as a value: its name, its options, and what it does for its recipes."""

from __future__ import annotations

from typing import ClassVar

from tunebook.families.family import Family
from tunebook.families.options import FamilyOptions
from tunebook.families.text_generation.options import OPTIONS


class TextGenerationFamily(Family):
    """What ``text_generation`` recipes share."""

    name: ClassVar[str] = "text_generation"
    options: ClassVar[FamilyOptions] = OPTIONS


FAMILY = TextGenerationFamily()
