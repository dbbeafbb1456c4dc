"""What a family knows of a model's files and of rows before torch is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from tunebook.bundle.manifest import Manifest
from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.config.schema import ModelConfig, Objective, TrainConfig
from tunebook.config.score import ScoreConfig
from tunebook.data.columns import Column
from tunebook.data.content import Content
from tunebook.data.pairs import whole_texts
from tunebook.data.rows import Rows
from tunebook.errors import UserError
from tunebook.families.family import Family
from tunebook.families.picking import Shown, not_picked_for
from tunebook.models.source import ModelSource, find_model
from tunebook.recipe import Recipe

RecipeT = TypeVar("RecipeT", bound=Recipe[Any])


class Inputs(Generic[RecipeT]):
    """What a run, `predict` and `evaluate` ask before they load any weights; ``Family.inputs_code`` names the class.

    A mistake in the name of a model, a path or a column is reported from here, without the seconds that torch takes.

    Attributes:
        family: The family that it belongs to: its name and its options.
        exports_folder: Whether an export is a folder, with what `predict` needs of it; otherwise it is one file.
        exports_gguf: Whether that file is GGUF, with a Modelfile beside it; otherwise it is ONNX.
        export_precisions: Those that an export can be written in; empty where there is nothing to choose.
    """

    exports_folder: ClassVar[bool] = False
    exports_gguf: ClassVar[bool] = False
    export_precisions: ClassVar[Sequence[str]] = ()

    def __init__(self, family: Family) -> None:
        self.family = family

    def with_objective(self, recipe: RecipeT, config: TrainConfig) -> RecipeT:
        """The recipe as it learns by ``objective``; itself where that is supervised.

        Raises:
            UserError: The family has no such objective, or an option has no effect or sense with it.
        """
        if config.objective.name is not Objective.sft:
            raise UserError(
                f"objective={config.objective.name.name} is for conversations, and a model of "
                f"recipe={recipe.options.name} {self.family.does}.",
                code="config.no-effect",
                where="objective",
                fix="leave it out",
            )
        return recipe

    def find_model(self, recipe: RecipeT, config: ModelConfig, weights: bool) -> ModelSource:
        """The model's files, before anything heavy loads; without ``weights`` its architecture is enough."""
        return find_model(config, weights)

    def content(self, recipe: RecipeT, source: ModelSource, config: TrainConfig) -> Content | None:
        """What rows hold besides their text and must be looked at; None where they hold nothing else."""
        return None

    def keys(self, recipe: RecipeT, rows: Rows) -> list[str]:
        """What identifies rows, so that a bundle knows those that it was trained on: their whole texts, say."""
        return whole_texts(rows)

    def copies_seen(self, rows: Rows, content: Content | None, folder: Path) -> NDArray[np.int64]:
        """Positions of rows that are nearly the same as ones that a bundle's model was trained or chosen on.

        Those of equal ``keys`` may be among them.

        Args:
            rows: The rows.
            content: What they hold besides their text.
            folder: The bundle.

        Raises:
            UserError: What the bundle knows of them is damaged.
        """
        return np.zeros(0, np.int64)

    def load_bundle_state(self, recipe: RecipeT, manifest: Manifest) -> None:
        """Give the recipe back what a bundle holds for it besides its options."""
        return None

    def bundle_content(self, recipe: RecipeT, manifest: Manifest, cache_dir: Path, answered: bool) -> Content | None:
        """As ``content``, for the model of a bundle; ``answered`` where rows hold their truth too."""
        return None

    def predict_columns(
        self,
        recipe: RecipeT,
        manifest: Manifest,
        column: str | None,
        files: Sequence[str],
        delimiter: str | None = None,
    ) -> Sequence[Column]:
        """The columns that a row to be answered needs: the text alone, unless the family knows better.

        Args:
            recipe: The bundle's recipe.
            manifest: Says what the columns were called in training.
            column: The user's name of the one with the text or the image.
            files: Where the rows are; empty where they come from standard input.
            delimiter: What separates the columns of CSV files (default: a comma).
        """
        return [Column("text", column or manifest.columns["text"], "--text", "text")]

    def evaluate_columns(self, recipe: RecipeT, manifest: Manifest, data: EvaluateDataConfig) -> Sequence[Column]:
        """The columns that a row to be scored needs: as in training, but for what is renamed."""
        expected = recipe.columns(self.family.data(group=data.group))
        renamed = [getattr(data, column.key.removeprefix("data."), None) for column in expected]
        names = [new or manifest.columns.get(c.role, c.name) for c, new in zip(expected, renamed, strict=True)]
        return [replace(column, name=name) for column, name in zip(expected, names, strict=True)]

    def check_evaluation(self, recipe: RecipeT, folder: Path, manifest: Manifest, options: ScoreConfig) -> None:
        """Refuse what `evaluate` is asked for, before the model is loaded; ``options`` is its ``evaluation:`` node."""
        return None

    def not_sure_below(self, recipe: RecipeT, folder: Path, manifest: Manifest, wanted: str, where: str) -> float:
        """The probability of an answer below which the model is not sure.

        Args:
            recipe: The bundle's recipe.
            folder: The bundle.
            manifest: What it says of itself.
            wanted: What the user typed: "auto", or a number.
            where: The option that the user typed it for.

        Raises:
            UserError: It is neither, the bundle has none, or the family's models have no such probability.
        """
        raise UserError(
            f"A model that {self.family.does} has no probability below which it is not sure.",
            code="config.no-effect",
            where=where,
            fix=f"leave {where} out",
        )

    def check_chat(self, recipe: RecipeT, folder: Path, manifest: Manifest, options: Any) -> None:
        """Refuse a chat before the model is loaded; ``options`` are those of `tunebook chat`.

        Raises:
            UserError: The model does not chat, or not with these options.
        """
        raise UserError(
            f"This bundle's model {self.family.does} and does not talk.",
            code="chat.not-a-chat-model",
            where=str(folder),
            fix=f"ask it with: tunebook predict {folder}",
        )

    def check_pick(self, recipe: RecipeT, folder: Path, manifest: Manifest) -> None:
        """Refuse to pick rows by a model that cannot say which ones it is unsure of, before it is loaded.

        Raises:
            UserError: It is such a model.
        """
        raise not_picked_for(f"This bundle's model {self.family.does}", folder)

    def pick_columns(
        self, recipe: RecipeT, manifest: Manifest, column: str | None, files: Sequence[str], delimiter: str | None
    ) -> Sequence[Column]:
        """The columns of a pool: those that `predict` reads, and the label, which most rows lack."""
        label = Column("label", manifest.columns.get("label", "label"), "", "label", required=False, choice="")
        return [*self.predict_columns(recipe, manifest, column, files, delimiter), label]

    def shown(self, manifest: Manifest, rows: Rows, as_tasks: bool) -> Shown:
        """How people see the rows that are picked.

        Args:
            manifest: Says what the columns were called in training.
            rows: The pool.
            as_tasks: Whether they become tasks of Label Studio too.

        Raises:
            UserError: No labelling tool could show one of them.
        """
        raise NotImplementedError(f"{self.family.name} picks no rows")

    def check_export(self, recipe: RecipeT, folder: Path, manifest: Manifest) -> None:
        """Refuse to export a bundle's model before it is loaded.

        Raises:
            UserError: The family does not export its models.
        """
        raise UserError(
            f"A model that {self.family.does} is not exported as ONNX.",
            code="export.unsupported",
            where=str(folder),
            fix=f"use the bundle itself: tunebook predict {folder}",
        )
