"""The family as a value: its name, its options, and what it does for its recipes."""

from __future__ import annotations

from typing import ClassVar

from tunebook.families.family import Family
from tunebook.families.options import FamilyOptions
from tunebook.families.text_classification.options import OPTIONS


class TextClassificationFamily(Family):
    """What ``text_classification`` recipes share."""

    name: ClassVar[str] = "text_classification"
    options: ClassVar[FamilyOptions] = OPTIONS


FAMILY = TextClassificationFamily()
