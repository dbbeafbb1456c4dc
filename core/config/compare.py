"""The typed schema of `tunebook compare`: that of `train`, and which systems are compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from omegaconf import MISSING

from tunebook.config.schema import TrainConfig


class Rung(Enum):
    """A system of the ladder, from the cheapest to the dearest."""

    majority = "majority"
    classical = "classical"
    zero_shot = "zero_shot"
    few_shot = "few_shot"
    head = "head"
    lora = "lora"
    full = "full"
    scratch = "scratch"


class Way(Enum):
    """How a few-shot rung learns, from the cheapest to the dearest."""

    classical = "classical"
    head = "head"
    contrastive = "contrastive"
    lora = "lora"
    full = "full"
    scratch = "scratch"


class CurveRung(Enum):
    """A rung that learns, and so has a learning curve."""

    few_shot = "few_shot"
    head = "head"
    lora = "lora"
    full = "full"
    scratch = "scratch"


@dataclass
class LadderConfig:
    """Which systems are compared, and how often each is run."""

    rungs: list[Rung] = field(default_factory=lambda: list(Rung))
    """Any of majority, classical, zero_shot, few_shot, head, lora, full, scratch."""
    shots: list[int] = field(default_factory=lambda: [4, 8, 16, 64])
    """Training rows of each class (of a model that writes: rows in all) of the few-shot rungs, one rung each."""
    few_shot: list[Way] | None = None
    """How few-shot rungs learn: any of classical, head, contrastive, lora, full; of several, cross-validation on the
    rows drawn chooses one, of fewer than 64 rows contrastive is taken (default: of text classifiers the first three, of
    others, or if adapt is set, as adapt says)."""
    seeds: int = 3
    """Runs of each tuned rung, with the seeds `seed`, `seed` + 1 ..."""
    draws: int = 3
    """Runs of each few-shot rung and of each step of the curve, each with rows of its own."""
    curve: list[float] = field(default_factory=lambda: [0.1, 0.25, 0.5, 1.0])
    """Shares of the training rows for a learning curve; [] for none."""
    curve_rung: CurveRung = CurveRung.full
    """Rung whose learning curve it is, one of compare.rungs: few_shot, head, lora, full or scratch."""
    models: list[str] = field(default_factory=list)
    """Models that are compared, by the options of model= or the paths of local folders; each has the rungs that need a
    model (default: the given model alone)."""
    metric: str | None = None
    """Test metric to compare by (default: the recipe's watched one; of models that write chrF)."""


@dataclass
class CompareConfig(TrainConfig):
    """Everything a comparison is made of (`tunebook compare`)."""

    compare: LadderConfig = field(default_factory=LadderConfig)


@dataclass
class RungConfig:
    """One planned run of a comparison; started by `compare`, never by hand."""

    plan: str = MISSING
    """plan.json of the comparison."""
    rung: int = MISSING
    """Number of the run in the plan."""
