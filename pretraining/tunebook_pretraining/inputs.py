"""What pre-trained models take in: no rows to answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from tunebook import UserError
from tunebook.bundle.manifest import Manifest
from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.data.columns import Column
from tunebook.families.inputs import Inputs, RecipeT


def no_answers(bundle: str = "") -> NoReturn:
    """Refuse to answer rows.

    Raises:
        UserError: Always.
    """
    raise UserError(
        "A pre-trained model makes no predictions.",
        code="recipe.no-answers",
        where=bundle or None,
        fix=f"tune it for a task: tunebook train recipe=<name> model.name={bundle or '<run folder>/model'}",
    )


class PretrainingInputs(Inputs[RecipeT]):
    """Rows to learn from; a pre-trained model answers none."""

    def predict_columns(
        self,
        recipe: RecipeT,
        manifest: Manifest,
        column: str | None,
        files: Sequence[str],
        delimiter: str | None = None,
    ) -> Sequence[Column]:
        """Refused."""
        no_answers()

    def evaluate_columns(self, recipe: RecipeT, manifest: Manifest, data: EvaluateDataConfig) -> Sequence[Column]:
        """Refused."""
        no_answers()
