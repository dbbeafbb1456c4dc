"""The family as a value: its name, its options, and what it does for its recipes."""

from __future__ import annotations

from typing import ClassVar

from tunebook.families.family import Family
from tunebook.families.image_classification.options import OPTIONS
from tunebook.families.options import FamilyOptions


class ImageClassificationFamily(Family):
    """What ``image_classification`` recipes share."""

    name: ClassVar[str] = "image_classification"
    options: ClassVar[FamilyOptions] = OPTIONS


FAMILY = ImageClassificationFamily()
