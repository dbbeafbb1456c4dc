"""Real processes, really killed: the run that goes on ends in the weights of the run that was never touched."""

from __future__ import annotations

import csv
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import write_reviews
from tests.forked import Forked, start_forked
from tunebook.training.checkpoints import newest_valid, read_checkpoint

STEPS = 60


def command(folder: Path, rows: Path, *more: str) -> list[str]:
    return [
        *("train", "recipe=review_sentiment", f"data.train={rows}"),
        *("data.label=label", "data.batch_size=8", "data.max_length=24", "model.dropout=0.1", "trainer=cpu"),
        *(
            "trainer.threads=1",
            "trainer.max_epochs=3",
            "trainer.validate_every=0.5",
            "trainer.checkpoint_every=7",
            "trainer.rehearse=false",
        ),
        *("logger=csv", "evaluation.resamples=50", "evaluation.zero_shot=false", f"run_dir={folder}", *more),
    ]


def resume(folder: Path) -> list[str]:
    return ["train", f"resume={folder}"]


def start(arguments: list[str]) -> Forked:
    return start_forked(arguments, {**os.environ, "OMP_NUM_THREADS": "1"}, Path.cwd())


def wait_killed(process: Forked) -> None:
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


def finish(process: Forked) -> str:
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    return output


def read_log(folder: Path) -> list[dict[str, str]]:
    with (folder / "logs" / "metrics.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def logged_step(folder: Path) -> int:
    try:
        rows = read_log(folder)
    except FileNotFoundError:  # not there yet, or written anew by a run that goes on
        return 0
    return max((int(row["step"]) for row in rows if row.get("step")), default=0)


def signal_at(process: Forked, folder: Path, step: int, number: int) -> None:
    """Send a signal to the process and all it started, as soon as the step is in the log."""
    deadline = time.monotonic() + 120
    while logged_step(folder) < step:
        assert process.poll() is None, process.output()[0]
        assert time.monotonic() < deadline, "the run does not get there"
        time.sleep(0.01)
    os.killpg(process.pid, number)


def weights(folder: Path) -> str:
    return hashlib.sha256((folder / "model" / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reviews(tmp_path_factory.mktemp("rows") / "reviews.csv", 200)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory, rows: Path) -> Path:
    folder = tmp_path_factory.mktemp("untouched") / "run"
    finish(start(command(folder, rows)))
    return folder


def test_three_kills_at_random_steps_change_nothing(tmp_path, rows, untouched):
    folder, draw = tmp_path / "run", random.Random()
    steps = sorted(draw.sample(range(8, STEPS - 10), 3))  # the first checkpoint is that of step 7
    print("killed at", steps)
    arguments = command(folder, rows)
    for step in steps:
        process = start(arguments)
        signal_at(process, folder, step, signal.SIGKILL)
        wait_killed(process)
        assert newest_valid(folder / "checkpoints") is not None
        arguments = resume(folder)
    finish(start(arguments))
    assert weights(folder) == weights(untouched), f"killed at {steps}"
    assert (folder / "predictions.csv").read_bytes() == (untouched / "predictions.csv").read_bytes()
    assert (folder / "logs" / "metrics.csv").read_text() == (untouched / "logs" / "metrics.csv").read_text()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_polite_signal_saves_and_says_how_to_go_on(tmp_path, rows, untouched, number, status):
    folder = tmp_path / "run"
    process = start(command(folder, rows))
    signal_at(process, folder, random.randrange(10, STEPS - 20), number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == status, output
    assert f"tunebook train resume={folder}" in output
    assert "Traceback" not in output
    assert not (folder / "model").exists()
    finish(start(resume(folder)))
    assert weights(folder) == weights(untouched)


def wait_for(path: Path, process: Forked) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.output()[0]
        assert time.monotonic() < deadline, f"{path} does not come"
        time.sleep(0.005)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_after_training_is_not_lost(tmp_path, rows, untouched, number, status):
    folder = tmp_path / "run"
    process = start(command(folder, rows, "evaluation.resamples=50000"))
    wait_for(folder / "checkpoints" / f"step-{STEPS:08d}.ckpt", process)
    time.sleep(0.3 * random.random())
    os.killpg(process.pid, number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == status and not (folder / "report.html").exists(), output
    assert f"tunebook train resume={folder}" in output and "Traceback" not in output
    assert not [path for path in folder.rglob(".*") if path.name != ".running"], "half-written files are left"
    finish(start(resume(folder)))
    assert weights(folder) == weights(untouched)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_before_training_leaves_nothing(tmp_path, rows, number, status):
    folder = tmp_path / "run"
    process = start(command(folder, rows))
    wait_for(folder / "config.yaml", process)
    os.killpg(process.pid, number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == status, output
    assert "before the first checkpoint; nothing is saved" in output and "start it again" in output
    assert not folder.exists()


SHORT = ("model.dropout=0.0", "trainer.max_steps=30")
TOGETHER = ("trainer=ddp", "trainer.accelerator=cpu", *SHORT)


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory, rows: Path) -> Path:
    """A run of two processes that Lightning starts."""
    folder = tmp_path_factory.mktemp("together") / "run"
    finish(start(command(folder, rows, *TOGETHER)))
    return folder


def test_two_processes_give_the_metrics_of_one_and_resume_exactly(tmp_path, rows, together):
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    finish(start(command(alone, rows, *SHORT)))
    first, second = (read_log(f) for f in (alone, together))
    assert len(first) == len(second)
    for one, two in zip(first, second, strict=True):
        assert one["step"] == two["step"]
        for key in (k for k in one if k.startswith("validation/") and one[k]):
            assert float(one[key]) == pytest.approx(float(two[key]), abs=2e-3), key
    process = start(command(killed, rows, *TOGETHER))
    signal_at(process, killed, random.randrange(8, 22), signal.SIGKILL)
    wait_killed(process)
    finish(start(resume(killed)))
    assert weights(killed) == weights(together)
    state = read_checkpoint(newest_valid(together / "checkpoints"))
    assert state["global_step"] == 30


def test_torchrun_starts_the_same_run(tmp_path, rows, together):
    other = tmp_path / "torchrun"
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*launcher, "tunebook", *command(other, rows, *TOGETHER)], env=environment, check=True, timeout=240)
    assert weights(together) == weights(other)
