"""The typed schema of `tunebook evaluate`; see `tunebook.config.schema`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from tunebook.config.schema import Accelerator, Leaks
from tunebook.config.score import ScoreConfig


@dataclass
class EvaluateDataConfig:
    """Rows to score a finished model on."""

    test: Any = MISSING
    """Rows to score: a file, a glob, a list of them or a `datasets` folder."""
    group: str | None = None
    """Column whose equal values mark dependent rows (customer, patient ...): intervals resample whole groups."""
    delimiter: str | None = None
    """Character that separates the columns of .csv files, or \\t (default: a comma)."""
    leaks: Leaks = Leaks.error
    """Rows already used in training or model selection: error, drop or allow."""
    max_rejects: int = 0
    """Stop when more rows than this are rejected."""


@dataclass
class EvaluateConfig:
    """Scoring a finished model on new rows (`tunebook evaluate`)."""

    bundle: str = MISSING
    """Run folder or bundle folder to score."""
    data: EvaluateDataConfig = field(default_factory=EvaluateDataConfig)
    evaluation: ScoreConfig = field(default_factory=ScoreConfig)
    accelerator: Accelerator = Accelerator.auto
    """Device: auto, cpu, gpu or mps."""
    seed: int = 0
    """Seed of the bootstrap."""
    run_dir: str = MISSING
    """Folder that the scores are written to; it must not exist yet."""
