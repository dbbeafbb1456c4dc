"""Rows with a value for each of several aspects, and small runs of a recipe that learns them."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra

from tunebook.cli.train import train_command
from tunebook.composing.command import register_schemas
from tunebook.run_folder import RunFolder

ASPECTS = ("delivery", "price")
VALUES = ("none", "negative", "neutral", "positive")
SAID = {"negative": "awful", "neutral": "usual", "positive": "lovely"}


def write_aspects(path: Path, rows: int, seed: int = 0, aspects: Sequence[str] = ASPECTS, unknown: int = 0) -> Path:
    """Short reviews that say a word of each aspect that they mention; every ``unknown``-th cell is empty."""
    draw, cells = random.Random(seed), 0
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", *aspects])
        for i in range(rows):
            values = [VALUES[(i // len(VALUES) ** place) % len(VALUES)] for place in range(len(aspects))]
            words = [f"{SAID[value]} {aspect}" for aspect, value in zip(aspects, values, strict=True) if value in SAID]
            words += [f"w{draw.randrange(10_000)}" for _ in range(draw.randint(2, 9))]
            shown = []
            for value in values:
                cells += 1
                shown.append("" if unknown and cells % unknown == 0 else value)
            writer.writerow([" ".join(words), *shown])
    return path


def finished_aspects(folder: Path, *overrides: str, unknown: int = 0) -> RunFolder:
    """Train on 64 rows, ``train.csv``, and test on 48 others, ``test.csv``, for a few steps, in this process."""
    GlobalHydra.instance().clear()
    register_schemas()
    small = [
        "recipe=review_aspects",
        "recipe.aspects=[delivery,price]",
        f"data.train={write_aspects(folder / 'train.csv', 64, seed=1, unknown=unknown)}",
        f"data.test={write_aspects(folder / 'test.csv', 48, seed=2, unknown=unknown)}",
        f"data.cache_dir={folder / 'cache'}",
        "data.max_length=24",
        "data.batch_size=16",
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
