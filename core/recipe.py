"""The contract that a recipe fills in. Everything here is plain Python: torch is only named, not imported."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from tunebook.config.schema import DataConfig, LabelledDataConfig
from tunebook.config.schema import FamilyConfig as FamilyConfig
from tunebook.data.columns import Column
from tunebook.families.family import Family
from tunebook.training.head import Head as Head

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

    from tunebook.data.labels import Labels

CONTRACT_VERSION = 1


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
    family: ClassVar[Family]
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
        folder = Path(str(sys.modules[type(self).__module__].__file__)).parent / "samples"
        return {p.stem: p for p in sorted(folder.glob("*")) if p.suffix in (".csv", ".jsonl")}

    @abstractmethod
    def columns(self, data: DataConfig) -> Sequence[Column]:
        """The columns that a row needs."""

    def invalid(self, row: Mapping[str, str]) -> str | None:
        """Why a row cannot be used, or None; ``row`` maps a column's role to its text."""
        return None

    def check_labels(self, labels: Labels, data: LabelledDataConfig) -> None:
        """Refuse a set of labels that the recipe cannot work with, by raising a UserError."""
        return None

    @abstractmethod
    def head(self, labels: Sequence[str]) -> Head:
        """The head for these labels."""

    @abstractmethod
    def metrics(self, labels: Sequence[str]) -> MetricCollection:
        """What is measured, by name; ``watch`` names one of them.

        Each is given the probabilities ``[rows, labels]`` and the truth ``[rows]``, as torchmetrics has it; one that
        judges the answers that the head decides on says so: ``Decided(metric)``.
        """
