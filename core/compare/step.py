"""A step of a comparison: one config, run with several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from tunebook.config.compare import Rung
from tunebook.config.schema import ONLY_WITH, Method, TrainConfig


@dataclass(frozen=True)
class Step:
    """A rung, or a step of the learning curve: one config but for its seeds.

    Attributes:
        name: Short and unique, as its folder is called.
        title: In words for a reader.
        rung: What kind it is.
        config: Of its first run; the others differ in the seed.
        runs: How many there are.
        curve: Training rows of a step of the curve; None for a rung.
        kind: What its processes do: `train`, or answer by a baseline, `majority` or `classical`.
        way_of: Few-shot rung that this is a way of, of which cross-validation chooses one; "" for none.
    """

    name: str
    title: str
    rung: Rung
    config: TrainConfig
    runs: int
    curve: int | None = None
    kind: str = "train"
    way_of: str = ""

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
