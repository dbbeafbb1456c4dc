"""A run before its model is loaded: what `prepare` hands to everything after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from tunebook.config.schema import Method, TrainConfig

if TYPE_CHECKING:
    from typing import Any

    from tunebook.data.encoded import Encoded
    from tunebook.data.load_and_validate import ValidatedData
    from tunebook.models.source import ModelSource
    from tunebook.recipe import Recipe

RecipeT = TypeVar("RecipeT", bound="Recipe[Any]")


@dataclass(frozen=True)
class Prepared(Generic[RecipeT]):
    """A run before its model is loaded.

    Attributes:
        config: All that shapes it.
        recipe: The task.
        source: The model's files.
        data: Its checked rows by split, and what became of the others.
        encoded: The rows as the model takes them.
    """

    config: TrainConfig
    recipe: RecipeT
    source: ModelSource
    data: ValidatedData
    encoded: Encoded

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names by index; none for a recipe without labels."""
        return self.data.labels.names if self.data.labels else ()


def called(config: TrainConfig) -> str:
    """Name of a run's model in comparisons."""
    return "untuned" if config.adapt.method is Method.none else "tuned"
