"""The family as a value: its name, its options, and what it does for its recipes."""

from __future__ import annotations

from typing import ClassVar

from tunebook.families.brief_to_text.options import OPTIONS
from tunebook.families.family import Family
from tunebook.families.options import FamilyOptions


class BriefToTextFamily(Family):
    """What ``brief_to_text`` recipes share."""

    name: ClassVar[str] = "brief_to_text"
    options: ClassVar[FamilyOptions] = OPTIONS


FAMILY = BriefToTextFamily()
