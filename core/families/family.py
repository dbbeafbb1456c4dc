"""A family: what a recipe's page takes in, found by name like a recipe; light, for composing a config needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, TypeVar

from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.config.schema import AdaptConfig, DataConfig, ModelConfig, ObjectiveConfig, TrainerConfig
from tunebook.config.score import ScoreConfig
from tunebook.errors import UserError

if TYPE_CHECKING:
    from tunebook.families.inputs import Inputs
    from tunebook.families.stages import Stages

NodeT = TypeVar("NodeT")


@dataclass(frozen=True, eq=False)
class Family:
    """What all recipes of a kind share; the value that an entry point of the group ``tunebook.families`` names.

    The dataclasses are those behind each node of its recipes' configs; a key that is in none does not exist. Each
    derives from the one that all families share (``DataConfig`` and the like of ``tunebook.config``), which a node is
    where a family adds nothing to it.

    Attributes:
        name: What a recipe's page takes in: ``/family/<name>@recipe``.
        code: Where its ``Stages`` are, as "package.module:Class".
        inputs_code: Where its ``Inputs`` are, which import no torch.
        recipe: The ``recipe:`` node; the ``Config`` of a recipe derives from it.
        data: The ``data:`` node of `train`, `check` and `compare`.
        model: The ``model:`` node.
        adapt: The ``adapt:`` node.
        objective: The ``objective:`` node.
        trainer: The ``trainer:`` node.
        evaluation: The ``evaluation:`` node.
        new_data: The ``data:`` node of `evaluate`.
        new_evaluation: The ``evaluation:`` node of `evaluate`.
        contrastive: Whether its models can be tuned on pairs of rows, ``adapt=contrastive``.
        paths: Keys that name a file or a folder, each with the words that it may be instead: a run keeps them as
            absolute paths.
        does: What its models do, in words.
        task: What transformers calls what its models do; empty where they are no models of transformers.
    """

    name: str
    code: str
    recipe: type
    inputs_code: str = "tunebook.families.inputs:Inputs"
    data: type = DataConfig
    model: type = ModelConfig
    adapt: type = AdaptConfig
    objective: type = ObjectiveConfig
    trainer: type = TrainerConfig
    evaluation: type = ScoreConfig
    new_data: type = EvaluateDataConfig
    new_evaluation: type = ScoreConfig
    contrastive: bool = False
    paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    does: str = "answers rows"
    task: str = ""

    @cached_property
    def inputs(self) -> Inputs[Any]:
        """What it knows of a model's files and of rows, without torch.

        Raises:
            UserError: Its code cannot be imported, or is none.
        """
        from tunebook.families.inputs import Inputs  # pyarrow begins here

        made: Inputs[Any] = self._made(self.inputs_code, Inputs)
        return made

    @cached_property
    def stages(self) -> Stages[Any]:
        """The work that it does in each stage of a run.

        Raises:
            UserError: Its code cannot be imported, or is none.
        """
        from tunebook.families.stages import Stages  # torch begins here

        made: Stages[Any] = self._made(self.code, Stages)
        return made

    def _made(self, code: str, kind: type[Any]) -> Any:
        fix = "fix or reinstall the package that has it"
        try:
            found = resolve_name(code)
        except Exception as error:  # a stranger's code may raise anything
            what = f"The code of the family '{self.name}' cannot be imported: {type(error).__name__}: "
            what += " ".join(str(error).split())
            raise UserError(what, code="family.broken", where=code, fix=fix) from error
        if not (isinstance(found, type) and issubclass(found, kind)):
            what = f"The code of the family '{self.name}' is not a class of {kind.__name__}."
            raise UserError(what, code="family.broken", where=code, fix=fix)
        return found(self)


def node_as(node: object, kind: type[NodeT]) -> NodeT:
    """A node of a config as its family has it, which the schema composed of the family's options makes sure of."""
    assert isinstance(node, kind), f"{type(node).__name__} is no {kind.__name__}"
    return node
