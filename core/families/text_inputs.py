"""What families take in whose rows are texts, each with a column for its answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from tunebook.bundle.manifest import Manifest
from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.data.columns import Column, new_text_columns
from tunebook.errors import UserError
from tunebook.families.inputs import Inputs, RecipeT


class TextInputs(Inputs[RecipeT]):
    """Texts; the ``data:`` nodes name the columns ``text``, ``text_pair`` and ``label``."""

    def predict_columns(
        self,
        recipe: RecipeT,
        manifest: Manifest,
        column: str | None,
        files: Sequence[str],
        delimiter: str | None = None,
    ) -> Sequence[Column]:
        """The text, and the second one where the model reads two."""
        return new_text_columns(manifest.columns, column)

    def evaluate_columns(self, recipe: RecipeT, manifest: Manifest, data: EvaluateDataConfig) -> Sequence[Column]:
        """As in training, with what is renamed."""
        own: Any = data
        named = {name: getattr(own, name) or manifest.columns.get(name) for name in ("text", "text_pair", "label")}
        return recipe.columns(self.family.data(**named, group=data.group))


class SequenceInputs(TextInputs[RecipeT]):
    """What families take in whose models have a final layer with one answer a text: they are exported as ONNX."""

    exports_folder: ClassVar[bool] = True

    def check_export(self, recipe: RecipeT, folder: Path, manifest: Manifest) -> None:
        """A model without a final layer is not exported.

        Raises:
            UserError: It is such a model.
        """
        if manifest.head == "zero_shot":
            raise UserError(
                "A zero-shot model has no classification layer and is not exported as ONNX.",
                code="export.unsupported",
                where=str(folder),
                fix="train one: adapt=full, adapt=lora or adapt=head",
            )
