"""A small run made in this process: cheaper than the command line, where that is not what is tested."""

from __future__ import annotations

from pathlib import Path

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra

from tests.conftest import write_reviews
from tunebook.cli.train import train_command
from tunebook.composing.command import register_schemas
from tunebook.run_folder import RunFolder


def finished(folder: Path, *overrides: str, labels: tuple[str, str] = ("bad", "good")) -> RunFolder:
    """Train on 48 rows, ``train.csv``, and test on 40 others, ``test.csv``, in a folder that holds both."""
    GlobalHydra.instance().clear()
    register_schemas()
    small = [
        "recipe=review_sentiment",
        "data.label=label",
        f"data.train={write_reviews(folder / 'train.csv', 48, seed=1, labels=labels)}",
        f"data.test={write_reviews(folder / 'test.csv', 40, seed=2, labels=labels)}",
        f"data.cache_dir={folder / 'cache'}",
        "data.max_length=24",
        "data.batch_size=8",
        "trainer=cpu",
        "trainer.max_epochs=2",
        "trainer.progress=false",
        "trainer.rehearse=false",  # which has tests of its own
        "evaluation.resamples=50",
        "logger=csv",
    ]
    with initialize_config_module("tunebook.conf", version_base="1.3"):
        config = compose("train", overrides=[*small, *overrides, f"run_dir={folder / 'run'}"])
    train_command(config, str(folder / "run"))
    return RunFolder(folder / "run")
