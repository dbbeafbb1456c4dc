"""What families take in whose rows are texts, each with a column for its answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunebook.bundle.manifest import Manifest
from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.data.columns import Column, new_text_columns
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
