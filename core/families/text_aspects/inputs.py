"""What models of aspects take in, before torch is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tunebook.bundle.manifest import Manifest
from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.data.columns import Column
from tunebook.families.text_aspects.columns import is_aspect
from tunebook.families.text_aspects.recipe import TextAspects
from tunebook.families.text_inputs import TextInputs


class AspectInputs(TextInputs[TextAspects[Any]]):
    """Texts, each with a column for each aspect."""

    def evaluate_columns(
        self, recipe: TextAspects[Any], manifest: Manifest, data: EvaluateDataConfig
    ) -> Sequence[Column]:
        """As in training; the aspects' columns cannot be renamed, as they are what the model's outputs are called."""
        return [
            _fixed(column) if is_aspect(column.role) else column
            for column in super().evaluate_columns(recipe, manifest, data)
        ]


def _fixed(column: Column) -> Column:
    """A column that no option of `evaluate` chooses."""
    assert column.categories is not None
    return replace(column, key="", choice="", categories=replace(column.categories, lenient=""))
