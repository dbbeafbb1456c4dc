"""Marketing copy: a language model learns to write what a product brief says, and nothing it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tunebook import BriefOptions, BriefToText


@dataclass
class MarketingCopyConfig(BriefOptions):
    """Options of marketing_copy."""


class MarketingCopy(BriefToText[MarketingCopyConfig]):
    """Copy for a brief; whatever can be checked against the brief is."""

    Config = MarketingCopyConfig
    sample_fields: ClassVar[Sequence[str]] = ("name", "features", "tone")
