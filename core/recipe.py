"""The contract that a recipe fills in. Everything here is plain Python: torch is only named, not imported."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from omegaconf import MISSING

from tunebook.config.schema import DataConfig

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torchmetrics import MetricCollection

    from tunebook.data.columns import Column
    from tunebook.data.labels import Labels
    from tunebook.families.family import Family

# A batch is {"inputs": what the model's forward takes, "target": [batch], "row": [batch], "normalizer": float}.
Batch = dict[str, Any]

CONTRACT_VERSION = 1


@dataclass
class FamilyConfig:
    """The options that every recipe has; a recipe's ``Config`` derives from its family's."""

    name: str = MISSING
    """Name of the recipe."""


class Head(ABC):
    """What the outputs of the model's final layer mean: the loss, and how they become a prediction.

    A head has no parameters. The final layer lives in the transformers or timm model, so that what is
    saved stays a plain model.

    Attributes:
        kind: Name of the head in the bundle.
        problem_type: What transformers calls it: decides whether a plain pipeline applies softmax or sigmoid.
        outputs: Number of outputs of the final layer.
    """

    kind: ClassVar[str]
    problem_type: ClassVar[str] = "single_label_classification"
    outputs: int

    def forward(self, model: nn.Module, batch: Batch) -> Tensor:
        """Run the model on a batch: logits ``[batch, outputs]``."""
        logits: Tensor = model(**batch["inputs"]).logits
        return logits

    @abstractmethod
    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of each row, ``[batch]``, not yet averaged."""

    @abstractmethod
    def probabilities(self, logits: Tensor) -> Tensor:
        """Probability of each label, ``[batch, labels]``; rows add up to one."""

    def prior_logits(self, counts: Tensor) -> Tensor | None:
        """Logits ``[outputs]`` that give each label its share of the training rows; None where there are none.

        A fresh final layer starts from them, so that the first steps are spent on the texts and not on learning how
        common each label is.

        Args:
            counts: Training rows of each label, ``[labels]``, none of them zero.
        """
        return None

    def decide(self, probabilities: Tensor) -> Tensor:
        """The predicted label of each row, ``[batch]``: the likeliest, unless the head knows better."""
        return probabilities.argmax(dim=-1)

    def units(self, batch: Batch) -> Tensor | None:
        """How many parts the loss of each row is a sum of, ``[batch]``, such as its tokens; None: one each."""
        return None

    def measure(self, metrics: MetricCollection, logits: Tensor, losses: Tensor, batch: Batch) -> None:
        """Count a batch into the metrics: by its probabilities and answers, unless the head knows better."""
        from tunebook.statistics.metrics import update_metrics

        probabilities = self.probabilities(logits)
        update_metrics(metrics, probabilities, self.decide(probabilities), batch["target"])


ConfigT = TypeVar("ConfigT", bound=FamilyConfig)


class Recipe(ABC, Generic[ConfigT]):
    """A task: which columns a row has, the head, the metrics, what it must beat and what it reports.

    A recipe derives from the base class of a family in ``tunebook.families``, which fills in all of this with
    defaults, and overrides what its task knows better.

    Attributes:
        contract: Version of this contract that the recipe was written for.
        family: Does the work that all recipes of its kind share; a recipe takes its family's base class.
        Config: Dataclass of the recipe's own options, the ``recipe:`` node of the config.
        watch: The metric that chooses the best checkpoint and stops early.
        watch_mode: Whether the watched metric is better high ("max") or low ("min").
    """

    contract: ClassVar[int] = CONTRACT_VERSION
    family: ClassVar[Family[Any]]
    Config: ClassVar[type]
    watch: ClassVar[str]
    watch_mode: ClassVar[str] = "max"

    def __init__(self, options: ConfigT) -> None:
        self.options = options

    def samples(self, cache_dir: Path) -> Mapping[str, Path]:
        """Sample rows that ship with the recipe, by split; empty when there are none.

        Args:
            cache_dir: Where a recipe may keep samples that it makes.
        """
        import sys

        folder = Path(str(sys.modules[type(self).__module__].__file__)).parent / "samples"
        return {p.stem: p for p in sorted(folder.glob("*")) if p.suffix in (".csv", ".jsonl")}

    @abstractmethod
    def columns(self, data: DataConfig) -> Sequence[Column]:
        """The columns that a row needs."""

    def invalid(self, row: Mapping[str, str]) -> str | None:
        """Why a row cannot be used, or None; ``row`` maps a column's role to its text."""
        return None

    def check_labels(self, labels: Labels, data: DataConfig) -> None:
        """Refuse a set of labels that the recipe cannot work with, by raising a UserError."""
        return None

    @abstractmethod
    def head(self, labels: Sequence[str]) -> Head:
        """The head for these labels."""

    @abstractmethod
    def metrics(self, labels: Sequence[str]) -> MetricCollection:
        """What is measured, by name; ``watch`` names one of them."""
