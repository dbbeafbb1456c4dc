"""Options typed Literal are read by the types of their values, and a value that is not listed is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import ValidationError

from tunebook.config.literals import checked, without_literals


@dataclass
class Options:
    name: str
    mode: Literal["fast", "careful"] = "fast"
    level: Literal[1, 2] = 1
    tone: Literal["warm", "plain"] | None = None
    channels: list[Literal["mail", "chat"]] = field(default_factory=lambda: ["mail"])
    limits: dict[str, Literal[10, 20]] = field(default_factory=dict)
    words: int = 3


@dataclass(frozen=True)
class Frozen:
    mode: Literal["fast", "careful"] = "fast"


@dataclass
class Plain:
    words: int = 3


def read(values: dict[str, Any], kind: type[Any] = Options) -> Any:
    return checked(OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(without_literals(kind)), values)), kind)


def test_values_that_are_listed_make_an_instance_of_the_class_itself():
    values = {"name": "a", "mode": "careful", "level": 2, "tone": "warm", "channels": ["chat"], "limits": {"x": 10}}
    made = read(values)
    assert type(made) is Options and made == Options(**values)
    assert read({"name": "a"}) == Options("a")
    assert read({"mode": "careful"}, Frozen) == Frozen("careful")
    assert without_literals(Plain) is Plain and read({"words": 4}, Plain) == Plain(4)


@pytest.mark.parametrize(
    ("values", "key", "said"),
    [
        ({"mode": "slow"}, "mode", "Invalid value 'slow', expected one of [fast, careful]"),
        ({"level": 3}, "level", "Invalid value '3', expected one of [1, 2]"),
        ({"level": "high"}, "level", "could not be converted to Integer"),
        ({"tone": "loud"}, "tone", "Invalid value 'loud', expected one of [warm, plain]"),
        ({"channels": ["mail", "fax"]}, "channels", "Invalid value 'fax', expected one of [mail, chat]"),
        ({"limits": {"x": 30}}, "limits", "Invalid value '30', expected one of [10, 20]"),
    ],
)
def test_a_value_that_is_not_listed_is_refused_with_those_that_are(values: dict[str, Any], key: str, said: str):
    with pytest.raises(ValidationError) as caught:
        read({"name": "a", **values})
    assert said in str(caught.value) and str(caught.value.full_key).startswith(key)
