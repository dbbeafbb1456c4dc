"""Labels in words, for a model that was not trained on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tunebook.errors import UserError
from tunebook.plugins.answers import texts_of

if TYPE_CHECKING:
    from tunebook.families.text_classification.recipe import TextClassification


def descriptions(recipe: TextClassification[Any], labels: Sequence[str], following: bool = False) -> list[str]:
    """The user's descriptions where given, else the recipe's, in the labels' order.

    Args:
        recipe: The recipe.
        labels: Label names.
        following: Take what might be written under a text, not what means the same as one.

    Raises:
        UserError: A description is missing, or belongs to no label.
    """
    given: Mapping[str, str] | None = getattr(recipe.options, "descriptions", None)
    if given is None:
        return worded(recipe, labels, following)
    given = {str(k): v for k, v in given.items()}
    if set(given) != set(labels):
        missing, extra = sorted(set(labels) - set(given)), sorted(set(given) - set(labels))
        fault = f"missing: {', '.join(missing)}" if missing else f"no such label: {', '.join(extra)}"
        raise UserError(
            f"The descriptions do not fit the labels ({fault}).",
            code="data.descriptions-mismatch",
            where="recipe.descriptions",
            fix="describe each of " + ", ".join(labels),
        )
    return [given[label] for label in labels]


def worded(recipe: TextClassification[Any], labels: Sequence[str], following: bool) -> list[str]:
    """The recipe's own words for labels, whatever the user says."""
    texts = recipe.verdicts(labels) if following else recipe.describe(labels)
    return texts_of(recipe, "verdicts" if following else "describe", texts, labels)
