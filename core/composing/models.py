"""The models that `model=` knows, and a config composed anew with another one of them."""

from __future__ import annotations

from collections.abc import Sequence

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from omegaconf import DictConfig


def model_options(verb: str, overrides: Sequence[str]) -> list[str]:
    """The options of the group ``model``, with those of the user's own pages; Hydra must be at work.

    Args:
        verb: What is composed.
        overrides: Its overrides, which may say where pages are.
    """
    return list(
        GlobalHydra.instance().config_loader().get_group_options("model", ObjectType.CONFIG, verb, list(overrides))
    )


def composed_with(verb: str, overrides: Sequence[str], model: str) -> DictConfig:
    """The config of a verb with one more override, ``model=<option>`` or ``model.name=<folder>``.

    Everything that the model's page sets is in it, and what was typed takes precedence as ever.
    """
    return compose(verb, overrides=[*overrides, model])
