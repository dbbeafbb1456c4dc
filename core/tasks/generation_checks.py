"""What can be known to be wrong with the options of a model that writes before it is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunebook.config import Method, TrainConfig
from tunebook.errors import UserError
from tunebook.models.causal import check_quantized
from tunebook.models.source import ModelSource
from tunebook.models.text import positions
from tunebook.tasks.exchanges import check_tokenize
from tunebook.tasks.writer import room_beside

if TYPE_CHECKING:
    from tunebook.tasks.text_generation import TextGeneration


def check_options(recipe: TextGeneration[Any], source: ModelSource, config: TrainConfig) -> None:
    """Refuse now what would else come up once the model is trained.

    Raises:
        UserError: An option that cannot be, or that the model has no room for.
    """
    if config.adapt.method is Method.head:
        raise UserError(
            "A language model has no fresh head that could be learnt alone.",
            where="adapt=head",
            mend="adapt=lora learns little beside a frozen model",
        )
    options: Any = recipe.options
    if options.max_new_tokens < 1:
        raise UserError("recipe.max_new_tokens must be at least 1.", where="recipe.max_new_tokens", mend="choose more")
    check_quantized(source, config.adapt)
    room_beside(options.max_new_tokens, positions(source.settings))
    check_tokenize(options.tokenize)
