"""A step of a comparison: one config, run with several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from tunebook.config.compare import Rung
from tunebook.config.schema import ONLY_WITH, Method, TrainConfig

_OF = " · "
"""Between a rung and its model, where there are several."""


def with_model(name: str, model: str) -> str:
    """The name or the title of a rung of one of several models; as it is where ``model`` is empty."""
    return f"{name}{_OF}{model}" if model else name


def without_model(name: str) -> str:
    """The name of a rung, whichever model it is of."""
    return name.partition(_OF)[0]


@dataclass(frozen=True)
class Step:
    """A rung, or a step of the learning curve: one config but for its seeds.

    Attributes:
        name: Short and unique.
        title: In words for a reader.
        rung: What kind it is.
        config: Of its first run; the others differ in the seed.
        runs: How many there are.
        curve: Training rows of a step of the curve; None for a rung.
        kind: What its processes do: `train`, or answer by a baseline, `majority` or `classical`.
        way_of: Few-shot rung that this is a way of, of which cross-validation chooses one; "" for none.
        model: Label of its model, where several are compared; "" of what needs no model.
    """

    name: str
    title: str
    rung: Rung
    config: TrainConfig
    runs: int
    curve: int | None = None
    kind: str = "train"
    way_of: str = ""
    model: str = ""

    @property
    def folder(self) -> str:
        """What the folder of its runs is called; what needs no model has one for all of them."""
        return (self.name if self.kind == "train" else without_model(self.name)).replace(_OF, "-")

    @property
    def rung_title(self) -> str:
        """The title without the way."""
        return self.title.partition(",")[0]


ConfigT = TypeVar("ConfigT", bound=TrainConfig)


def with_method(config: ConfigT, method: Method) -> ConfigT:
    """The config of another adaptation, without what is only for one: ranks for LoRA, unfreezing for full."""
    others = (option for option in fields(config.adapt) if option.metadata.get(ONLY_WITH, method) is not method)
    usual: dict[str, Any] = {option.name: option.default for option in others}
    return replace(config, adapt=replace(config.adapt, method=method, **usual))


def seeds_of(step: Step) -> Sequence[int]:
    """The seeds of a step's runs."""
    return range(step.config.seed, step.config.seed + step.runs)
