"""Augmentation of one's own: functions that change training batches, with draws that follow from the row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from torch import Tensor

from tunebook.config.parts import check_named_parts, check_part_options, load_part
from tunebook.data.batch import Batch
from tunebook.data.draws import Draws, named_seed
from tunebook.errors import UserError

KEY = "data.augmentations"
GIVEN = ("inputs", "draws")
"""What every augmentation is given."""
Inputs = TypeVar("Inputs", Tensor, Mapping[str, Tensor])


@dataclass(frozen=True)
class Augmentations:
    """Functions that change what the model is given of training rows, one after the other.

    Attributes:
        functions: Name and function of each: ``function(inputs, draws)`` gives the inputs back, changed.
        seed: Of the run; each name draws numbers of its own.
    """

    functions: Sequence[tuple[str, Callable[..., Any]]]
    seed: int

    @property
    def names(self) -> str:
        """Their names."""
        return ", ".join(name for name, _ in self.functions)

    def __call__(self, inputs: Inputs, batch: Batch) -> Inputs:
        """The inputs, changed.

        Args:
            inputs: A tensor ``[batch, ...]``, or several by name.
            batch: Its ``epoch`` and ``row`` are those that the draws follow from.

        Raises:
            UserError: A function gives back something of another form.
        """
        rows = batch["row"].cpu().numpy()
        first = inputs if isinstance(inputs, Tensor) else next(iter(inputs.values()))
        for name, function in self.functions:
            made = function(inputs, Draws(named_seed(self.seed, name), int(batch["epoch"]), rows, first.device))
            if _form(made) != _form(inputs):
                raise UserError(
                    f"The augmentation '{name}' returned {_form(made)}, but was given {_form(inputs)}.",
                    code="part.wrong-output",
                    where=KEY,
                    fix="return inputs of the same shape and type",
                )
            inputs = made
        return inputs


def make_augmentations(named: Sequence[Any], own: Callable[..., Any] | None, seed: int) -> Augmentations | None:
    """What the recipe and the packages that a config names change; None where nothing does.

    Args:
        named: ``data.augmentations``: names, or ``{name: {option: value}}``.
        own: The recipe's own method, which comes first.
        seed: Of the run.

    Raises:
        UserError: One is unknown, cannot be imported, or does not take its options.
    """
    functions: list[tuple[str, Callable[..., Any]]] = [] if own is None else [("recipe", own)]
    for name, options in check_named_parts("augmentation", named, KEY):
        function = load_part("augmentation", name, KEY)
        check_part_options(function, options, f"{KEY}, of {name}", GIVEN)
        functions.append((name, partial(function, **options)))
    return Augmentations(functions, seed) if functions else None


def _form(inputs: Any) -> str:
    """Shape and type of a tensor, or of several by name, in words."""
    if isinstance(inputs, Mapping):
        return f"{{{', '.join(f'{name}: {_form(value)}' for name, value in sorted(inputs.items()))}}}"
    return f"{inputs.dtype!s} {list(inputs.shape)}" if isinstance(inputs, Tensor) else f"a {type(inputs).__name__}"
