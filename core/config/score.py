"""The part of the schema that says how precisely scores are reported; see `tunebook.config.schema`."""

from __future__ import annotations

from dataclasses import dataclass, field

BASELINE = "baseline"
"""In the metadata of an option of ``evaluation``: it asks for more than the model's own scores (a baseline, which a
comparison has a rung for), and no run of a comparison does it."""


@dataclass
class ScoreConfig:
    """How precisely scores are reported."""

    confidence: float = 0.95
    """Coverage of every interval."""
    resamples: int = 2000
    """Bootstrap resamples behind an interval that has no closed form."""


@dataclass
class GapScoreConfig(ScoreConfig):
    """Scores, and how far those of two groups of rows are apart."""

    gap: list[str] | None = None
    """A column and two of its values, such as [language,de,en]: the watched metric of the first minus that of the
    second, with an interval."""


@dataclass
class SubgroupScoreConfig(GapScoreConfig):
    """Scores, also of each group of rows."""

    subgroups: list[str] = field(default_factory=list)
    """Columns (language, product, channel ...) whose values are scored separately; cells under 20 rows are hidden."""
