"""What the family of recipes that write from briefs does for them: as for all that write, but for its rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tunebook.config.schema import TrainConfig
from tunebook.families.brief_to_text.options import OPTIONS
from tunebook.families.options import FamilyOptions
from tunebook.families.text_generation.family import TextGenerationFamily

if TYPE_CHECKING:
    from tunebook.bundle.manifest import Manifest
    from tunebook.config.evaluate import EvaluateDataConfig
    from tunebook.data.columns import Column
    from tunebook.data.content import Content
    from tunebook.data.rows import Rows
    from tunebook.models.source import ModelSource


class BriefToTextFamily(TextGenerationFamily):
    """A brief in, copy out; a causal language model, or one with an encoder and a decoder."""

    name: ClassVar[str] = "brief_to_text"
    options: ClassVar[FamilyOptions] = OPTIONS

    def content(self, recipe: Any, source: ModelSource, config: TrainConfig) -> Content:
        """The briefs and their copies."""
        from tunebook.families.brief_to_text.data.content import BriefContent

        return BriefContent(recipe.briefs.form(config.data), True)

    def keys(self, recipe: Any, rows: Rows) -> list[str]:
        """What each brief says, equal for those that are one thing in the splits, however its copy is written."""
        from tunebook.families.brief_to_text.data.brief import content_text
        from tunebook.families.brief_to_text.rows import briefs_of

        return [content_text(brief) for brief in briefs_of(rows)]

    def bundle_content(self, recipe: Any, manifest: Manifest, cache_dir: Path, answered: bool) -> Content:
        """Briefs, with their copies or without."""
        from tunebook.families.brief_to_text.data.content import BriefContent

        return BriefContent(recipe.briefs.bundle_form, answered)

    def predict_columns(
        self, recipe: Any, manifest: Manifest, column: str | None, files: Sequence[str]
    ) -> Sequence[Column]:
        """Those of a brief that waits for its copy."""
        from tunebook.families.brief_to_text.data.forms import brief_columns
        from tunebook.families.brief_to_text.rows import renamed

        return brief_columns(renamed(recipe.briefs.bundle_form, column), None, False)

    def evaluate_columns(self, recipe: Any, manifest: Manifest, data: EvaluateDataConfig) -> Sequence[Column]:
        """As in training."""
        from tunebook.families.brief_to_text.data.forms import brief_columns

        return brief_columns(recipe.briefs.bundle_form, data.group, True)


FAMILY = BriefToTextFamily()
