"""Comparisons composed and prepared in this process, as the command line does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra

from tunebook.cli.run_comparison import prepare_candidates, prepare_rows
from tunebook.compare.candidates import Candidates
from tunebook.compare.models import configs_of_models
from tunebook.composing.command import register_schemas
from tunebook.composing.search_path import register_search_path
from tunebook.config.compare import CompareConfig
from tunebook.families.prepared import Prepared
from tunebook.pipeline.prepare import typed


def composed(*overrides: str) -> CompareConfig:
    """The typed config of a comparison."""
    return composed_models(*overrides)[0]


def composed_models(*overrides: str) -> tuple[CompareConfig, dict[str, CompareConfig]]:
    """The typed config of a comparison, and that with each of its models by the model's label."""
    GlobalHydra.instance().clear()
    register_schemas()
    register_search_path(overrides)
    given = ["trainer.progress=false", *overrides, "run_dir=here"]
    with initialize_config_module("tunebook.conf", version_base="1.3"):
        made: Any = typed(compose("compare", overrides=given))
        assert isinstance(made, CompareConfig)
        return made, configs_of_models(made, given)


def prepared_for(folder: Path, *overrides: str) -> tuple[CompareConfig, Prepared]:
    """The config and the rows of a comparison; its cache lies in the folder."""
    made = composed(f"data.cache_dir={folder / 'cache'}", *overrides)
    return made, prepare_rows(made)


def candidates_for(folder: Path, *overrides: str) -> Candidates:
    """The models of a comparison with their rows; their cache lies in the folder."""
    return prepare_candidates(composed_models(f"data.cache_dir={folder / 'cache'}", *overrides)[1])
