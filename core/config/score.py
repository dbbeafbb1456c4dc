"""The part of the schema that says how precisely scores are reported; see `tunebook.config.schema`."""

from __future__ import annotations

from dataclasses import dataclass

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
