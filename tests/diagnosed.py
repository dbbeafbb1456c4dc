"""A small run of medical_diagnosis made in this process, on pictures that are cheap to draw."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from numpy.typing import NDArray
from PIL import Image

from tunebook.cli.train import train_command
from tunebook.composing.command import register_schemas
from tunebook.run_folder import RunFolder

SMALL = (
    "recipe=medical_diagnosis",
    "recipe.size=32",
    "data.batch_size=8",
    "trainer=cpu",
    "trainer.threads=1",
    "trainer.max_epochs=1",
    "trainer.progress=false",
    "trainer.rehearse=false",  # which has tests of its own
    "evaluation.resamples=50",
    "logger=csv",
)
"""What keeps a run under a few seconds."""


def picture(seed: int, size: tuple[int, int] = (40, 32), blobs: int = 0) -> NDArray[np.uint8]:
    """A grey picture ``[height, width]`` unlike that of any other seed, with so many bright blobs."""
    draw = np.random.default_rng(seed)
    coarse = Image.fromarray(draw.integers(20, 140, (6, 6), dtype=np.uint8))
    light = np.asarray(coarse.resize(size[::-1], Image.Resampling.BICUBIC)).astype(np.float64)
    light += draw.normal(0, 4, size)
    down, right = np.mgrid[: size[0], : size[1]]
    for _ in range(blobs):
        y, x = draw.uniform(0.25, 0.75, 2) * size
        light += 110 * np.exp(-((down - y) ** 2 + (right - x) ** 2) / (2 * (size[0] / 12) ** 2))
    pixels: NDArray[np.uint8] = np.clip(light, 0, 255).astype(np.uint8)
    return pixels


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """Rows as CSV."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def write_patients(folder: Path, patients: int, seed: int = 0, images: int = 1) -> list[dict[str, Any]]:
    """Pictures of patients, every other one with blobs, and their rows: path, patient, sex, label, blob, bright."""
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for patient in range(patients):
        ill, bright = patient % 2, patient // 2 % 2
        for number in range(images):
            name = f"{patient}_{number}.png"
            drawn = picture(seed + 1000 * patient + number, blobs=2 * ill)
            pixels = np.clip(drawn.astype(np.int64) + 60 * bright, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name)
            row = {
                "path": f"{folder.name}/{name}",
                "patient": f"Jane Doe {seed + patient}",
                "sex": "fm"[patient // 3 % 2],
            }
            rows.append({**row, "label": ("normal", "ill")[ill], "blob": ill, "bright": bright})
    return rows


def diagnosed(folder: Path, *overrides: str, name: str = "run") -> RunFolder:
    """Train with `SMALL` and these options; the cache lies in the folder."""
    GlobalHydra.instance().clear()
    register_schemas()
    run = folder / name
    with initialize_config_module("tunebook.conf", version_base="1.3"):
        given = [*SMALL, f"data.cache_dir={folder / 'cache'}", *overrides, f"run_dir={run}"]
        config = compose("train", overrides=given)
    train_command(config, str(run))
    return RunFolder(run)
