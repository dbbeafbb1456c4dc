"""The typed options of a family: what each node of a config holds for its recipes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.config.schema import AdaptConfig, DataConfig, ModelConfig, TrainerConfig
from tunebook.config.score import ScoreConfig

NodeT = TypeVar("NodeT")


@dataclass(frozen=True, eq=False)
class FamilyOptions:
    """The dataclass behind each node of the config of a family's recipes; a key that is in none does not exist.

    Each derives from the one that all families share (``DataConfig`` and the like of ``tunebook.config``), which a node
    is where a family adds nothing to it.

    Attributes:
        recipe: The ``recipe:`` node; the ``Config`` of a recipe derives from it.
        data: The ``data:`` node of `train`, `check` and `compare`.
        model: The ``model:`` node.
        adapt: The ``adapt:`` node.
        trainer: The ``trainer:`` node.
        evaluation: The ``evaluation:`` node.
        new_data: The ``data:`` node of `evaluate`.
        new_evaluation: The ``evaluation:`` node of `evaluate`.
        paths: Keys that name a file or a folder, each with the words that it may be instead: a run keeps them as
            absolute paths.
    """

    recipe: type
    data: type = DataConfig
    model: type = ModelConfig
    adapt: type = AdaptConfig
    trainer: type = TrainerConfig
    evaluation: type = ScoreConfig
    new_data: type = EvaluateDataConfig
    new_evaluation: type = ScoreConfig
    paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def node_as(node: object, kind: type[NodeT]) -> NodeT:
    """A node of a config as its family has it, which the schema composed of the family's options makes sure of."""
    assert isinstance(node, kind), f"{type(node).__name__} is no {kind.__name__}"
    return node
