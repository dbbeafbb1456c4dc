"""What families take in whose rows are texts, each with a column for its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from tunebook.bundle.manifest import Manifest
from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.data.columns import Column, new_text_columns, with_names
from tunebook.data.text_template import is_with
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
        """The text, the second one where the model reads two, and the columns beside it."""
        return new_text_columns(manifest.columns, column, manifest.template)

    def evaluate_columns(self, recipe: RecipeT, manifest: Manifest, data: EvaluateDataConfig) -> Sequence[Column]:
        """As in training, with what is renamed."""
        own: Any = data
        roles = [name for name in ("text", "text_pair", "label") if hasattr(own, name)]
        named = {name: getattr(own, name) or manifest.columns.get(name) for name in roles}
        if manifest.template is not None:
            named |= {"text_with": list(with_names(manifest.columns)), "text_template": manifest.template}
        found = recipe.columns(self.family.data(**named, group=data.group))
        # Their names are part of what the model learned.
        return [replace(column, key="", choice="") if is_with(column.role) else column for column in found]


class SequenceInputs(TextInputs[RecipeT]):
    """What families take in whose models have a final layer with one answer a text: they are exported as ONNX."""

    exports_folder: ClassVar[bool] = True
    export_precisions: ClassVar[Sequence[str]] = ("float32", "int8", "both")

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
