"""The part of the schema that says what is measured, and how surely; see `tunebook.config.schema`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class ScoreConfig:
    """How surely scores are told."""

    confidence: float = 0.95
    """Coverage of every interval."""
    resamples: int = 2000
    """Bootstrap resamples behind an interval that has no closed form."""
    answers: int | None = 200
    """Answers that are written and compared on test rows, drawn by whole conversations (null: all; language models)."""


@dataclass
class EvaluationConfig(ScoreConfig):
    """What is measured on the test rows, and how surely."""

    zero_shot: bool = True
    """Also score the backbone without any training, as a baseline."""
