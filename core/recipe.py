"""The contract that a recipe fills in. Everything here is plain Python: torch is only named, not imported."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from omegaconf import MISSING

from tunebook.config.schema import AdaptConfig, DataConfig, TrainConfig
from tunebook.errors import UserError
from tunebook.training.head import Head as Head

if TYPE_CHECKING:
    from torch import nn
    from torchmetrics import MetricCollection

    from tunebook.bundle.manifest import Manifest
    from tunebook.compare.protocol import Family
    from tunebook.config.evaluate import EvaluateConfig, EvaluateDataConfig
    from tunebook.config.schema import ModelConfig
    from tunebook.data.columns import Column
    from tunebook.data.content import Content
    from tunebook.data.labels import Labels
    from tunebook.data.load_and_validate import ValidatedData
    from tunebook.data.module import FineTuneData
    from tunebook.data.rejects import RejectLog
    from tunebook.data.rows import Rows
    from tunebook.models.source import ModelSource
    from tunebook.pipeline.encoded import Encoded
    from tunebook.pipeline.predictor import Predictor
    from tunebook.pipeline.prepare import Prepared
    from tunebook.pipeline.run_folder import RunFolder
    from tunebook.training.fit import Fitted

CONTRACT_VERSION = 1


@dataclass
class FamilyConfig:
    """The options that every recipe has; a recipe's ``Config`` derives from its family's."""

    name: str = MISSING
    """Name of the recipe."""


ConfigT = TypeVar("ConfigT", bound=FamilyConfig)


class Recipe(ABC, Generic[ConfigT]):
    """A task: which columns a row has, the head, the metrics, what it must beat and what it reports.

    A recipe derives from one of the families in ``tunebook.families``, which fill in all of this with
    defaults, and overrides what its task knows better.

    Attributes:
        contract: Version of this contract that the recipe was written for.
        Config: Dataclass of the recipe's own options, the ``recipe:`` node of the config.
        watch: The metric that chooses the best checkpoint and stops early.
        watch_mode: Whether the watched metric is better high ("max") or low ("min").
        unused: Config keys that mean nothing to the family's recipes, and are refused where they are set.
    """

    contract: ClassVar[int] = CONTRACT_VERSION
    family: ClassVar[str]
    Config: ClassVar[type]
    watch: ClassVar[str]
    watch_mode: ClassVar[str] = "max"
    unused: ClassVar[Sequence[str]] = ()

    def __init__(self, options: ConfigT) -> None:
        self.options = options

    @property
    def name(self) -> str:
        """The name that ``recipe=<name>`` selects."""
        return self.options.name

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

    # From here on the families speak; a recipe rarely overrides these.

    def find_model(self, config: ModelConfig, weights: bool) -> ModelSource:
        """The model's files, before anything heavy loads; without ``weights`` its architecture is enough."""
        from tunebook.models.source import find_model

        return find_model(config, weights)

    def content(self, source: ModelSource, config: TrainConfig) -> Content | None:
        """What rows hold beside their text and must be looked at; None where they hold nothing else."""
        return None

    def training_head(self, labels: Sequence[str], encoded: Encoded) -> Head:
        """The head to learn with, which may look at the training rows."""
        return self.head(labels)

    @abstractmethod
    def encode(self, checked: ValidatedData, source: ModelSource, config: TrainConfig, rejects: RejectLog) -> Encoded:
        """Make the model's inputs of all rows, once."""

    def preview(self, encoded: Encoded) -> Sequence[Any]:
        """A few training rows as the model takes them, for rich to print."""
        return ()

    @abstractmethod
    def build_model(
        self, source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
    ) -> nn.Module:
        """The backbone with the recipe's final layer."""

    def adapted(self, model: nn.Module, config: AdaptConfig) -> nn.Module:
        """The model with the chosen weights ready to learn."""
        from tunebook.models.adapt import adapt

        return adapt(model, config)

    def merged(self, model: nn.Module, source: ModelSource, config: TrainConfig, run: RunFolder) -> nn.Module:
        """The plain model again once it is trained, with any adapters added into its weights."""
        from tunebook.models.adapt import merge

        return merge(model)

    @abstractmethod
    def data(
        self, model: nn.Module, encoded: Encoded, source: ModelSource, config: TrainConfig
    ) -> tuple[nn.Module, FineTuneData]:
        """What is trained, on what: the model itself, or with ``adapt=head`` its head on stored features."""

    @abstractmethod
    def finish(
        self,
        prepared: Prepared,
        model: nn.Module,
        fitted: Fitted | None,
        run: RunFolder,
        record: dict[str, Any],
        facts: Mapping[str, str],
    ) -> float:
        """Write the bundle, score it on the test rows and report; returns the watched test metric."""

    @abstractmethod
    def open_bundle(self, folder: Path, manifest: Manifest) -> Predictor:
        """The model of a bundle of this recipe, ready to answer."""

    def restored(self, manifest: Manifest) -> None:
        """Take back what a bundle keeps for the recipe besides its options."""
        return None

    def bundle_content(self, manifest: Manifest, cache_dir: Path, answered: bool) -> Content | None:
        """As ``content``, for the model of a bundle; ``answered`` where rows hold their truth too."""
        return None

    def predict_columns(self, manifest: Manifest, column: str | None, files: Sequence[str]) -> Sequence[Column]:
        """The columns that a row to be answered needs.

        Args:
            manifest: Says what the columns were called in training.
            column: The user's name of the one with the text or the image.
            files: Where the rows are; empty where they come from standard input.
        """
        raise self._answers_nothing()

    def evaluate_columns(self, manifest: Manifest, data: EvaluateDataConfig) -> Sequence[Column]:
        """The columns that a row to be scored needs."""
        raise self._answers_nothing()

    def keys(self, rows: Rows) -> list[str]:
        """What tells rows apart, so that a bundle can know those that it was trained on: their texts, say."""
        raise self._answers_nothing()

    def evaluate(
        self,
        predictor: Any,
        rows: Rows,
        content: Content | None,
        config: EvaluateConfig,
        run: RunFolder,
        facts: Mapping[str, str],
        notes: Sequence[str],
    ) -> float:
        """Score a bundle on new rows and report; returns the watched metric.

        Args:
            predictor: The bundle's model.
            rows: ValidatedData rows with their truth.
            content: What they hold beside their text.
            config: Confidence, device and seed.
            run: Takes metrics.json, predictions.csv and report.html.
            facts: What became of the rows read.
            notes: What a reader must know.
        """
        raise self._answers_nothing()

    def ladder(self) -> Family:
        """The family's part of `compare`."""
        raise self._answers_nothing()

    def _answers_nothing(self) -> UserError:
        return UserError(
            f"The recipe '{self.name}' makes a model to be tuned further, which answers no rows.",
            where=f"recipe={self.name}",
            fix="tune it: model.name=<this run>/model",
        )
