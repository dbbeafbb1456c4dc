"""Numbers that a made-up model answered, and a small run of a recipe whose models answer with numbers."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra

from tunebook.cli.train import train_command
from tunebook.composing.command import register_schemas
from tunebook.composing.search_path import register_search_path
from tunebook.new_recipe.write import plan_recipe, write_recipe
from tunebook.run_folder import RunFolder
from tunebook.statistics.numbers import NumberPredictions


def numbers(n: int = 60, seed: int = 0, at: float = 3.0, step: float | None = None) -> NumberPredictions:
    """Answers that follow the truth, with noise; truths on a grid where a step is given, so that many are equal."""
    random = np.random.default_rng(seed)
    target = at + np.random.default_rng(99).normal(size=n)
    if step is not None:
        target = np.round(target / step) * step
    predicted = target + random.normal(size=n)
    predicted = np.round(predicted / step) * step if step is not None else predicted
    return NumberPredictions(
        target, predicted, ["rows.csv"] * n, list(range(2, n + 2)), [f"text {i}" for i in range(n)]
    )


def finished_numbers(folder: Path, *overrides: str) -> RunFolder:
    """Tune the recipe that `tunebook new` writes for a few steps on its own samples, in this process.

    The recipe is ``job_hours`` in a folder of its own; ``TUNEBOOK_RECIPES`` must name it (``new_recipe``).
    """
    GlobalHydra.instance().clear()
    register_schemas()
    small = [
        "recipe=job_hours",
        f"data.cache_dir={folder / 'cache'}",
        "data.batch_size=12",
        "trainer=cpu",
        "trainer.max_steps=6",
        "trainer.progress=false",
        "trainer.rehearse=false",  # which has tests of its own
        "evaluation.resamples=50",
        "logger=csv",
    ]
    register_search_path([*small, *overrides])
    with initialize_config_module("tunebook.conf", version_base="1.3"):
        config = compose("train", overrides=[*small, *overrides, f"run_dir={folder / 'run'}"])
    train_command(config, str(folder / "run"))
    return RunFolder(folder / "run")


@cache
def new_recipe() -> Path:
    """The folder of the recipe ``job_hours``: one a process, which imports its code but once."""
    folder = Path(tempfile.mkdtemp(prefix="tunebook-recipe-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    write_recipe(plan_recipe("job_hours", "text_regression", private=True, into=folder))
    return folder / "job_hours"
