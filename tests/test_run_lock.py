"""One process at a time writes to a run folder; what a killed one left is cleared away, and nothing else."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from tests.conftest import Tunebook, write_reviews
from tests.forked import start_forked
from tests.user_error import user_error
from tunebook.run_folder import new_run_folder
from tunebook.run_lock import held


def hold(folder: str, ready: multiprocessing.synchronize.Event, end: multiprocessing.synchronize.Event) -> None:
    with held(Path(folder)):
        ready.set()
        end.wait(60)


def test_a_folder_that_is_written_to_is_refused_until_its_process_ends(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, end = context.Event(), context.Event()
    process = context.Process(target=hold, args=(str(tmp_path), ready, end))
    process.start()
    assert ready.wait(60)
    with user_error("run.in-use", where=str(tmp_path)), held(tmp_path):
        pass
    with user_error("run.in-use", where=str(tmp_path)), new_run_folder(tmp_path):
        pass
    process.kill()  # the operating system opens the lock
    process.join()
    with held(tmp_path):
        pass


def test_what_was_never_finished_is_cleared_away_and_nothing_else(tmp_path: Path) -> None:
    """As a kill leaves it: temporary files of a checkpoint and of a whole bundle."""
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / ".step-00000003.ckpt.ab12cd3_").write_bytes(b"half")
    (tmp_path / ".model.k2_9xw1a").mkdir()
    (tmp_path / ".model.k2_9xw1a" / "model.safetensors").write_bytes(b"half")
    others = [tmp_path / "checkpoints" / "step-00000002.ckpt", tmp_path / ".gitignore", tmp_path / ".env.production"]
    for path in others:
        path.write_bytes(b"whole")
    with held(tmp_path):
        left = {path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".running"}
    assert left == set(others) and not (tmp_path / ".model.k2_9xw1a").exists()


@pytest.mark.parametrize("left", [".config.yaml.0a1b2c3d", ".probe", ".running"])
def test_a_folder_in_which_a_run_was_killed_at_its_first_file_takes_a_new_run(tmp_path: Path, left: str) -> None:
    (tmp_path / left).write_text("half")
    with new_run_folder(tmp_path) as run:
        run.config.write_text("whole: true\n")
    assert {path.name for path in tmp_path.iterdir()} == {"config.yaml", ".running"}


def test_of_two_runs_that_start_in_one_folder_one_is_refused(
    tmp_path: Path, tunebook: Tunebook, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    rows = write_reviews(tmp_path / "rows.csv", 60)
    small = ["train", "recipe=review_sentiment", f"data.train={rows}", "data.label=label", "data.max_length=16"]
    small += ["trainer=cpu", "trainer.max_steps=3", "evaluation.resamples=20", "logger=csv", f"run_dir={tmp_path}/run"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [start_forked(small, environment, tmp_path) for _ in range(3)]
    said = [process.communicate(timeout=240)[0] for process in processes]
    codes = sorted(process.returncode or 0 for process in processes)
    assert codes == [0, 2, 2], said
    assert (tmp_path / "run" / "report.html").is_file()
    assert all("Traceback" not in each for each in said)
