"""The typed options of a family: what each node of a config holds for its recipes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FamilyOptions:
    """The dataclass behind each node of the config of a family's recipes; a key that is in none does not exist.

    Attributes:
        recipe: The ``recipe:`` node; the ``Config`` of a recipe derives from it.
        data: The ``data:`` node of `train`, `check` and `compare`.
        model: The ``model:`` node.
        adapt: The ``adapt:`` node.
        trainer: The ``trainer:`` node.
        evaluation: The ``evaluation:`` node.
        new_data: The ``data:`` node of `evaluate`.
        new_evaluation: The ``evaluation:`` node of `evaluate`.
    """

    recipe: type
    data: type
    model: type
    adapt: type
    trainer: type
    evaluation: type
    new_data: type
    new_evaluation: type
