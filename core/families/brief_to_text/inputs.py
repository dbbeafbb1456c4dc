"""What the family takes in: a model's files, and rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunebook.bundle.manifest import Manifest
from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.config.schema import TrainConfig
from tunebook.data.columns import Column
from tunebook.data.content import Content
from tunebook.data.rows import Rows
from tunebook.families.brief_to_text.data.brief import content_text
from tunebook.families.brief_to_text.data.content import BriefContent
from tunebook.families.brief_to_text.data.forms import brief_columns
from tunebook.families.brief_to_text.rows import briefs_of, renamed
from tunebook.families.inputs import Inputs
from tunebook.families.text_generation.inputs import GenerationInputs
from tunebook.models.source import ModelSource


class BriefInputs(GenerationInputs):
    """Briefs, and their copies."""

    def with_objective(self, recipe: Any, config: TrainConfig) -> Any:
        """Copy is learned from briefs alone."""
        return Inputs.with_objective(self, recipe, config)

    def content(self, recipe: Any, source: ModelSource, config: TrainConfig) -> Content:
        """The briefs and their copies."""
        return BriefContent(recipe.briefs.form(config.data), True)

    def keys(self, recipe: Any, rows: Rows) -> list[str]:
        """What each brief says, equal for those that are one thing in the splits, however its copy is written."""
        return [content_text(brief) for brief in briefs_of(rows)]

    def bundle_content(self, recipe: Any, manifest: Manifest, cache_dir: Path, answered: bool) -> Content:
        """Briefs, with their copies or without."""
        return BriefContent(recipe.briefs.bundle_form, answered)

    def predict_columns(
        self, recipe: Any, manifest: Manifest, column: str | None, files: Sequence[str], delimiter: str | None = None
    ) -> Sequence[Column]:
        """Those of a brief that waits for its copy."""
        return brief_columns(renamed(recipe.briefs.bundle_form, column), None, False)

    def evaluate_columns(self, recipe: Any, manifest: Manifest, data: EvaluateDataConfig) -> Sequence[Column]:
        """As in training."""
        return brief_columns(recipe.briefs.bundle_form, data.group, True)
