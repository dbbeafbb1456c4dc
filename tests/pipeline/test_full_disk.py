"""A disk that is full: one message, nothing half-written, and what was written before is complete."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

from tests.cli.test_mistakes import TRAIN, left_over, refused, write_rows
from tests.conftest import Tunebook, write_reviews

SHORT = [
    *TRAIN,
    "trainer=cpu",
    "logger=csv",
    "data.max_length=16",
    "evaluation.resamples=50",
    "data.batch_size=8",
    "trainer.max_steps=4",
    "trainer.checkpoint_every=2",
]


# What is too large to write -> the largest file that can be, in bytes, and overrides that make it so.
NO_ROOM = {
    "config": (600, []),
    "cache": (50_000, ["data.max_length=512"]),
    "checkpoint": (2_000_000, []),
    "bundle": (1_000_000, ["adapt=head"]),
}


def spelled(rows: int) -> list[list[str]]:
    """Texts that take more room as token ids, four bytes for a letter, than as texts."""
    draw = random.Random(0)
    return [[" ".join(draw.choices("abcdefghijklmnop", k=300)), ("bad", "good")[i % 2]] for i in range(rows)]


@pytest.mark.parametrize("part", NO_ROOM)
def test_a_file_that_cannot_be_written_whole(part: str, tmp_path: Path, tunebook: Tunebook, cache: Path):
    limit, overrides = NO_ROOM[part]
    rows = write_rows(tmp_path / "rows.csv", spelled(60)) if part == "cache" else write_reviews(tmp_path / "r.csv", 60)

    done = tunebook(*SHORT, f"data.train={rows}", "run_dir=run", *overrides, largest_file=limit)
    refused(done, {"config": "", "cache": "data.cache_dir="}.get(part, "run_dir=..."))
    files = {p.name for p in (tmp_path / "work").rglob("*") if p.is_file()}
    if part == "bundle":
        from tunebook.training.checkpoints import newest_valid

        assert newest_valid(tmp_path / "work" / "run" / "checkpoints") is not None
        assert not (tmp_path / "work" / "run" / "model").exists()
    else:
        assert files == set()
    assert not [name for name in left_over(tmp_path / "work", cache) if name.startswith(".") and name != ".running"]


def small_disk(folder: Path, size: str, option: str = "") -> bool:
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"{option}size={size}", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_disk_that_fills_up_leaves_the_checkpoint_before_and_the_run_goes_on_with_more_room(
    tmp_path: Path, tunebook: Tunebook
):
    from tunebook.training.checkpoints import read_checkpoint, step_checkpoints

    rows, disk = write_reviews(tmp_path / "rows.csv", 60), tmp_path / "disk"
    if not small_disk(disk, "44m"):  # one checkpoint is 28 MiB
        pytest.skip("mounting is not permitted here")
    try:
        done = tunebook(*SHORT, f"data.train={rows}", f"run_dir={disk}/run")
        refused(done, "There is no room left to write", str(disk), "run_dir=...")
        saved = step_checkpoints(disk / "run" / "checkpoints")
        assert [p.name for p in saved] == ["step-00000002.ckpt"]
        assert read_checkpoint(saved[0])["global_step"] == 2
        assert not [name for name in left_over(disk) if name.startswith(".") and name != ".running"]
        assert small_disk(disk, "160m", "remount,")
        done = tunebook("train", f"resume={disk}/run")
        assert done.returncode == 0, done.stderr
        assert (disk / "run" / "model" / "model.safetensors").is_file()
    finally:
        subprocess.run(["umount", str(disk)], check=True)
