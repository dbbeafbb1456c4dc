"""A config composed in this process."""

from __future__ import annotations

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra

from tunebook.composing.command import register_schemas
from tunebook.config.schema import TrainConfig
from tunebook.pipeline.prepare import typed


def composed(overrides: list[str]) -> TrainConfig:
    """The config of `train` with these overrides, as dataclasses."""
    GlobalHydra.instance().clear()
    register_schemas()
    with initialize_config_module("tunebook.conf", version_base="1.3"):
        return typed(compose("train", overrides=overrides))
