"""What a run meets in its environment is ignored, or refused before any row is read."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Tunebook, write_reviews
from tests.light import said_lightly
from tests.user_error import user_error
from tunebook.config.schema import LoggerConfig, LoggerName, Strategy, TrainerConfig
from tunebook.training.surroundings import check_copies, check_loggers, check_port, wandb_can_log

JOB = {
    "SLURM_JOB_ID": "4711",
    "SLURM_JOB_NAME": "tuning",
    "SLURM_JOB_NODELIST": "node[1-4]",
    "SLURM_NODELIST": "node[1-4]",
    "SLURM_NNODES": "4",
    "SLURM_NTASKS": "4",
    "SLURM_NTASKS_PER_NODE": "4",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
}
"""What a batch script of SLURM has, in which nothing was started by srun."""
TRAIN = ["train", "recipe=review_sentiment", "data.train=nothing.csv"]


@pytest.fixture
def port() -> Iterator[int]:
    """A port at which somebody listens."""
    with socket.socket() as listening:
        listening.bind(("", 0))
        listening.listen()
        yield int(listening.getsockname()[1])


@pytest.mark.parametrize("devices", [1, 2])
def test_a_batch_job_of_slurm_trains_as_anywhere(devices: int, tunebook: Tunebook, tmp_path: Path) -> None:
    rows = write_reviews(tmp_path / "rows.csv", 40)
    given = ["recipe=review_sentiment", f"data.train={rows}", "data.label=label", "data.max_length=16", "logger=csv"]
    given += ["trainer.max_steps=2", "trainer.progress=false", "data.batch_size=8", "evaluation.resamples=50"]
    given += ["trainer=ddp", "trainer.accelerator=cpu"] if devices > 1 else ["trainer=cpu"]
    done = tunebook("train", *given, f"run_dir={tmp_path / 'run'}", env=JOB)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "report.html").is_file()


@pytest.mark.parametrize(
    "more", [{"SLURM_STEP_NUM_TASKS": "4"}, {"SLURM_PROCID": "2"}, {"OMPI_COMM_WORLD_SIZE": "2"}, {"WORLD_SIZE": "2"}]
)
def test_one_of_several_copies_is_refused(more: dict[str, str]) -> None:
    (name,) = more
    with user_error("training.several-copies", where=f"{name}={more[name]}", match="each would do the whole run"):
        check_copies({**JOB, **more})
    check_copies({**JOB, "SLURM_STEP_NUM_TASKS": "1", "RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": ""})


@pytest.mark.parametrize("verb", ["train", "check", "compare"])
def test_copies_are_refused_before_rows_are_read(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    said = said_lightly(tmp_path, verb, *TRAIN[1:])
    assert said.startswith("error: This command is one of several copies that srun started")
    assert not list(tmp_path.iterdir())


def test_a_port_that_is_taken_is_refused(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    several, one = TrainerConfig(devices=2), TrainerConfig()
    with user_error("training.port-in-use", where="MASTER_PORT", match=f"MASTER_PORT={port} is taken"):
        check_port(several, {"MASTER_PORT": str(port)})
    with user_error("training.port-in-use"):
        check_port(TrainerConfig(strategy=Strategy.ddp), {"MASTER_PORT": str(port)})
    for wrong in ("", "x", "0", "65536", "-1"):
        with user_error("training.port-in-use", match="not the number of a port"):
            check_port(several, {"MASTER_PORT": wrong})
    check_port(one, {"MASTER_PORT": str(port)})
    check_port(several, {})
    with socket.socket() as free:
        free.bind(("", 0))
        number = free.getsockname()[1]
    check_port(several, {"MASTER_PORT": str(number)})
    monkeypatch.setenv("MASTER_PORT", str(port))
    assert f"MASTER_PORT={port} is taken" in said_lightly(tmp_path, *TRAIN, "trainer=ddp")


def test_a_logger_without_its_package_is_refused_before_rows_are_read(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    check_loggers(LoggerConfig(), os.environ)
    for name in ("wandb", "mlflow"):
        try:
            __import__(name)
        except ImportError:
            said = said_lightly(tmp_path, *TRAIN, f"logger={name}")
            assert f'fix:   pip install "tunebook[{name}]"' in said
            with user_error("package.missing", where="logger.names"):
                check_loggers(LoggerConfig(names=[LoggerName[name]]), {})


def test_a_login_of_weights_and_biases_is_found_where_it_looks(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert not wandb_can_log(home, tmp_path)
    assert wandb_can_log({**home, "WANDB_MODE": "offline"}, tmp_path)
    assert not wandb_can_log({**home, "WANDB_MODE": "online"}, tmp_path)
    assert wandb_can_log({**home, "WANDB_API_KEY": "0" * 40}, tmp_path)
    (tmp_path / ".netrc").write_text("machine example.org login a password b\n")
    assert not wandb_can_log(home, tmp_path)
    (tmp_path / "keys").write_text("machine api.wandb.ai login user password secret\n")
    assert wandb_can_log({**home, "NETRC": str(tmp_path / "keys")}, tmp_path)
    (tmp_path / ".netrc").write_text("machine wandb.example.org login user password secret\n")
    assert wandb_can_log({**home, "WANDB_BASE_URL": "https://wandb.example.org:8080"}, tmp_path)
    assert not wandb_can_log(home, tmp_path)
    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb" / "settings").write_text("[default]\nmode = offline\n")
    assert wandb_can_log(home, tmp_path)
    (tmp_path / "wandb" / "settings").write_text("no section\n")
    (tmp_path / ".netrc").write_text("machine\n")
    assert not wandb_can_log(home, tmp_path)
