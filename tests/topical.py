"""A small run of a model that puts several labels on a text, made in this process on the sample reviews."""

from __future__ import annotations

import csv
from pathlib import Path

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra

from tunebook.cli.train import train_command
from tunebook.composing.command import register_schemas
from tunebook.composing.search_path import register_search_path
from tunebook.run_folder import RunFolder

SAMPLES = Path(__file__).parent.parent / "recipes/review_topics/samples"
TOPICS = ("delivery", "quality", "price", "fit", "service")


def finished_topics(folder: Path, *overrides: str, recipe: str = "review_topics") -> RunFolder:
    """Tune for a few steps, and test; rows are the recipe's samples unless they are named."""
    GlobalHydra.instance().clear()
    register_schemas()
    small = [
        f"recipe={recipe}",
        f"data.cache_dir={folder / 'cache'}",
        "data.max_length=24",
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


def rows_of(file: Path) -> list[dict[str, str]]:
    """The lines of a CSV file."""
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def listed_samples(split: str, target: Path, separator: str = "; ") -> Path:
    """The sample reviews of a split with their topics listed in one column."""
    with target.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "topics"])
        for row in rows_of(SAMPLES / f"{split}.csv"):
            writer.writerow([row["text"], separator.join(topic for topic in TOPICS if row[topic] == "1")])
    return target
