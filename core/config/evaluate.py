"""The typed schema of `tunebook evaluate`; see `tunebook.config.schema`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from tunebook.config.schema import Accelerator, ConversationFormat, Leaks
from tunebook.config.score import ScoreConfig


@dataclass
class EvaluateDataConfig:
    """Rows to score a finished model on."""

    test: Any = MISSING
    """Rows to score: a file, a glob, a list of them or a `datasets` folder."""
    text: str | None = None
    """Column that holds the text (default: as in training)."""
    image: str | None = None
    """Column that holds the path of the image (default: as in training)."""
    image_root: str | None = None
    """Folder that image paths are relative to (default: the folder of the file that names them)."""
    label: str | None = None
    """Column that holds the label (default: as in training)."""
    format: ConversationFormat | None = None
    """How rows hold conversations: messages, sharegpt, alpaca or prompt_completion (default: told by the columns)."""
    facts: str | None = None
    """Column with the facts that answers must state, a list of texts (default: `facts`, where there is such a one)."""
    group: str | None = None
    """Column whose rows are no independent evidence (customer, patient ...): intervals resample whole groups."""
    subgroups: list[str] | None = None
    """Columns whose values are scored apart (images; default: those of the training that there are)."""
    leaks: Leaks = Leaks.error
    """Rows that the model was trained or chosen on: error, drop or allow."""
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
