"""What a family does in each stage of a run."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from torch import nn

from tunebook.bundle.manifest import Manifest
from tunebook.config.evaluate import EvaluateConfig
from tunebook.config.schema import AdaptConfig, Method, TrainConfig
from tunebook.data.content import Content
from tunebook.data.encoded import Encoded
from tunebook.data.load_and_validate import ValidatedData
from tunebook.data.module import FineTuneData
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.families.comparison import Comparison
from tunebook.families.evidence import Evidence
from tunebook.families.family import Family
from tunebook.families.predictor import Predictor
from tunebook.families.prepared import Prepared
from tunebook.families.sums_comparison import SumsComparison
from tunebook.models.adapt import adapt, merge
from tunebook.models.layers import is_head
from tunebook.models.source import ModelSource
from tunebook.recipe import Head, Recipe
from tunebook.run_folder import RunFolder
from tunebook.training.fit import Fitted

RecipeT = TypeVar("RecipeT", bound=Recipe[Any])


class Stages(ABC, Generic[RecipeT]):
    """The work that all recipes of a family share; ``Family.code`` names the class.

    A run asks it in this order: encoding, training, bundle, evidence. It holds no state: what it knows of a run comes
    in as arguments, the recipe first. What comes before is that of `Inputs`.

    Attributes:
        family: The family that it works for: its name and its options.
    """

    def __init__(self, family: Family) -> None:
        self.family = family

    # The encoded rows.

    @abstractmethod
    def encode(
        self, recipe: RecipeT, data: ValidatedData, source: ModelSource, config: TrainConfig, rejects: RejectLog
    ) -> Encoded:
        """Make the model's inputs of all rows, once."""

    def preview(self, recipe: RecipeT, encoded: Encoded) -> Sequence[Any]:
        """A few training rows as the model takes them, for rich to print."""
        return ()

    # Training.

    @abstractmethod
    def build_model(
        self, recipe: RecipeT, source: ModelSource, labels: Sequence[str], config: TrainConfig, encoded: Encoded
    ) -> nn.Module:
        """The backbone with the recipe's final layer."""

    def training_head(self, recipe: RecipeT, labels: Sequence[str], encoded: Encoded) -> Head:
        """The head to learn with, which may look at the training rows."""
        return recipe.head(labels)

    def adapt(self, model: nn.Module, config: AdaptConfig) -> nn.Module:
        """The model with the chosen weights ready to learn."""
        return adapt(model, config)

    def training_data(
        self, model: nn.Module, encoded: Encoded, source: ModelSource, config: TrainConfig
    ) -> tuple[nn.Module, FineTuneData]:
        """What is trained, on what: the model on its examples, those of like length together.

        With ``adapt=head`` its backbone is frozen; a family that trains its heads on stored features is faster.
        """
        if config.adapt.method is Method.head:
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(is_head(name, model))
        return model, FineTuneData(
            {name: encoded.splits[name] for name in ("train", "validation")},
            encoded.collate,
            batch_size=config.data.batch_size,
            seed=config.seed,
            accumulate=config.trainer.accumulate_grad_batches,
            num_workers=config.data.num_workers,
        )

    def solves(self, model: nn.Module, config: TrainConfig) -> bool:
        """Whether the final layer alone is wanted and can be solved, so that no step is taken."""
        return False

    def finish(self, prepared: Prepared[RecipeT], model: nn.Module) -> str:
        """Do what is left once all steps are done, such as solving the final layer.

        Args:
            prepared: The rows.
            model: The plain model, changed in place.

        Returns:
            What was done, in words; "" for nothing.
        """
        return ""

    def merge(self, model: nn.Module, source: ModelSource, config: TrainConfig, run: RunFolder) -> nn.Module:
        """The plain model again once it is trained, with any adapters added into its weights."""
        return merge(model)

    # Before training, with a few rows.

    def rehearses(self, config: TrainConfig) -> bool:
        """Whether a run is tried with a few rows once all are encoded."""
        return True

    def rehearsed(self, recipe: RecipeT) -> RecipeT:
        """The recipe for a rehearsal: what it learns of a few rows is not to stay."""
        with suppress(Exception):  # not all that a recipe holds can be copied
            return copy.deepcopy(recipe)
        return copy.copy(recipe)

    def examine(self, model: nn.Module, encoded: Encoded) -> Mapping[str, str]:
        """Refuse a model that reads rows otherwise than the data module gives them.

        Args:
            model: Before it is adapted.
            encoded: A few rows.

        Returns:
            What was found, to be shown.

        Raises:
            UserError: What is wrong with it.
        """
        return {}

    # The bundle.

    @abstractmethod
    def write_bundle(
        self,
        prepared: Prepared[RecipeT],
        model: nn.Module,
        fitted: Fitted | None,
        run: RunFolder,
        card: Mapping[str, Any],
    ) -> None:
        """Write the finished model to ``run.bundle``, whole or not at all.

        Args:
            prepared: The rows that it was made of.
            model: The plain model.
            fitted: How training went; None of a model that was not trained.
            run: Takes the bundle.
            card: Facts for the model card: ``data``, ``training``, ``scores``.
        """

    @abstractmethod
    def open_bundle(self, recipe: RecipeT, folder: Path, manifest: Manifest) -> Predictor:
        """The model of a bundle, ready to answer."""

    # Evidence.

    @abstractmethod
    def judge(self, prepared: Prepared[RecipeT], predictor: Any, run: RunFolder) -> Evidence:
        """Score the bundle's model and the baselines on the test rows."""

    @abstractmethod
    def judge_new(
        self, recipe: RecipeT, predictor: Any, rows: Rows, content: Content | None, config: EvaluateConfig
    ) -> Evidence:
        """Score a bundle's model on new rows.

        Args:
            recipe: The bundle's recipe.
            predictor: Its model.
            rows: Checked rows with their truth.
            content: What they hold besides their text.
            config: Confidence, device and seed.
        """

    def split_counts(self, prepared: Prepared[RecipeT]) -> Mapping[str, Any]:
        """What each split holds, for the report: its rows, or rows of each label."""
        return {name: {"rows": len(rows)} for name, rows in prepared.encoded.rows.items()}

    @abstractmethod
    def comparison(self, recipe: RecipeT) -> Comparison:
        """The family's part of `compare`."""

    def scores_again(
        self, prepared: Prepared[RecipeT], answers: Sequence[Mapping[str, str]], predictor: Any
    ) -> Mapping[str, float] | None:
        """The test scores worked out from predictions.csv alone, for `verify` to compare.

        Args:
            prepared: The rows.
            answers: The lines of the file, by column.
            predictor: The bundle's model.

        Returns:
            Metric -> value; None where the file has the columns of `write_predictions` or `write_answers`, which
            `verify` can read itself.
        """
        comparison = self.comparison(prepared.recipe)
        if not isinstance(comparison, SumsComparison):
            return None
        return {name: each.value() for name, each in comparison.measures(answers, prepared).items() if each.rows.any()}

    # What only some families do.

    def chat(self, recipe: RecipeT, folder: Path, manifest: Manifest, options: Any) -> None:
        """Chat with a bundle's model, once `Inputs.check_chat` allows it; ``options`` are those of `tunebook chat`."""
        raise NotImplementedError(f"{self.family.name} allows chats and has none")

    def export(self, recipe: RecipeT, folder: Path, manifest: Manifest, output: Path) -> str:
        """Write a bundle's model as an ONNX file, once `Inputs.check_export` allows it.

        Returns:
            What it takes and gives, in words.
        """
        raise NotImplementedError(f"{self.family.name} allows exports and has none")

    def export_folder(
        self, recipe: RecipeT, folder: Path, manifest: Manifest, output: Path, precisions: Sequence[str]
    ) -> str:
        """As `export`, where ``Inputs.exports_folder``: a folder with an ONNX file of each precision.

        Returns:
            What was found when they were compared with the bundle, in words.
        """
        raise NotImplementedError(f"{self.family.name} allows exports and has none")

    def export_gguf(
        self, recipe: RecipeT, folder: Path, manifest: Manifest, output: Path, precision: str, converter: str | None
    ) -> str:
        """As `export`, where ``Inputs.exports_gguf``: a GGUF file, and a Modelfile beside it.

        Args:
            recipe: The bundle's recipe.
            folder: The bundle.
            manifest: What it says of itself.
            output: The file to write.
            precision: One of ``Inputs.export_precisions``.
            converter: What the user gave as llama.cpp's converter; None where it is to be found.

        Returns:
            What was found when it was compared with the bundle, in words.
        """
        raise NotImplementedError(f"{self.family.name} allows exports and has none")

    def open_export(self, recipe: RecipeT, folder: Path, manifest: Manifest, precision: str) -> Predictor:
        """The model of such a folder, ready to answer."""
        raise NotImplementedError(f"{self.family.name} allows exports and has none")
