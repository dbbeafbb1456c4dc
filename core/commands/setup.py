"""From a composed config to rows that are ready for a model: what `check` and `train` share."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from tunebook.compose import absolute_paths, typed_recipe_options
from tunebook.config import TrainConfig
from tunebook.data.gate import Checked, open_gate
from tunebook.data.rejects import RejectLog
from tunebook.errors import UserError
from tunebook.models.source import ModelSource, find_model
from tunebook.plugins import load_recipe_class
from tunebook.recipe import Encoded

if TYPE_CHECKING:
    from tunebook.recipe import Recipe


@dataclass(frozen=True)
class Prepared:
    """A run before its model is loaded."""

    config: TrainConfig
    recipe: Recipe[Any]
    source: ModelSource
    checked: Checked
    encoded: Encoded

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names by index."""
        assert self.checked.labels is not None
        return self.checked.labels.names


def typed(config: Any) -> TrainConfig:
    """The config as dataclasses, independent of the folder it was composed in."""
    made = OmegaConf.to_object(config)
    assert isinstance(made, TrainConfig)
    _check_ranges(made)
    return absolute_paths(made)  # type: ignore[no-any-return]


def _check_ranges(config: TrainConfig) -> None:
    """Refuse numbers that no run can be made with."""
    at_least_one = {
        "data.batch_size": config.data.batch_size,
        "trainer.max_epochs": config.trainer.max_epochs,
        "trainer.max_steps": config.trainer.max_steps,
        "trainer.accumulate_grad_batches": config.trainer.accumulate_grad_batches,
        "trainer.checkpoint_every": config.trainer.checkpoint_every,
        "trainer.early_stop": config.trainer.early_stop,
        "trainer.threads": config.trainer.threads,
        "evaluation.resamples": config.evaluation.resamples,
    }
    for key, number in at_least_one.items():
        if number is not None and number < 1:
            raise UserError(f"{key} must be at least 1, not {number}.", where=key, mend=f"{key}=1")
    shares = {
        "data.near_duplicate": (config.data.near_duplicate, 0.0, 1.0),
        "evaluation.confidence": (config.evaluation.confidence, 0.5, 0.9999),
        "optim.warmup": (config.optim.warmup, 0.0, 1.0),
        "model.dropout": (config.model.dropout, 0.0, 0.99),
        "adapt.lora_dropout": (config.adapt.lora_dropout, 0.0, 0.99),
    }
    for key, (share, low, high) in shares.items():
        if share is not None and not low <= share <= high:
            raise UserError(f"{key} must be from {low:g} to {high:g}, not {share:g}.", where=key)
    if config.optim.lr is not None and not config.optim.lr > 0:
        raise UserError(f"optim.lr must be above 0, not {config.optim.lr:g}.", where="optim.lr")


def make_recipe(config: TrainConfig) -> Recipe[Any]:
    """The chosen recipe with its checked options."""
    name = str(config.recipe["name"])
    recipe_class = load_recipe_class(name)
    return recipe_class(typed_recipe_options(config.recipe, recipe_class.Config, name))


def prepare(config: TrainConfig, rejects: Path) -> Prepared:
    """Find recipe and model, check all rows, encode them; nothing is trained or loaded yet.

    Args:
        config: The run's config.
        rejects: File for rejected rows.
    """
    recipe = make_recipe(config)
    source = find_model(config.model)
    log = RejectLog(rejects, config.data.max_rejects)
    checked = open_gate(
        config.data,
        recipe.columns(config.data),
        samples=recipe.samples(),
        invalid=recipe.invalid,
        rejects=log,
        seed=config.seed,
        progress=config.trainer.progress and sys.stderr.isatty(),
    )
    assert checked.labels is not None
    recipe.check_labels(checked.labels, config.data)
    encoded = recipe.encode(checked, source, config, log)
    return Prepared(config, recipe, source, checked, encoded)
