"""The log of a run that goes on: rows of before stay, whenever it is killed; those of steps done again do not."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tunebook.config.schema import LoggerConfig, LoggerName
from tunebook.training.loggers import make_loggers, read_history

KILLED = """
import os, sys
from pathlib import Path
from lightning.fabric.loggers.csv_logs import _ExperimentWriter
from tunebook.config.schema import LoggerConfig, LoggerName
from tunebook.training.loggers import make_loggers

_ExperimentWriter.save = lambda writer: os.kill(os.getpid(), 9)
make_loggers(LoggerConfig(names=[LoggerName.csv]), Path(sys.argv[1]), "run", step=3)
"""


def loggers(folder: Path, step: int) -> None:
    make_loggers(LoggerConfig(names=[LoggerName.csv]), folder, "run", step)


def test_a_kill_while_rows_are_written_again_loses_none(tmp_path: Path) -> None:
    logs = tmp_path / "run" / "logs"
    logs.mkdir(parents=True)
    (logs / "metrics.csv").write_text("step,train/loss,val/f1\n1,0.9,\n2,0.8,0.5\n3,0.7,\n4,0.6,\n")
    child = subprocess.run([sys.executable, "-c", KILLED, str(logs)], capture_output=True, text=True)
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert not (logs / "metrics.csv").exists(), "it was killed where the rows are nowhere else"
    before = [{"step": 1, "train/loss": 0.9}, {"step": 2, "train/loss": 0.8, "val/f1": 0.5}]
    assert read_history(logs) == before
    loggers(logs, 3)
    assert read_history(logs) == before
    assert (logs / "metrics.csv").read_text() == "step,train/loss,val/f1\n1,0.9,\n2,0.8,0.5\n"
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["logs"]


def test_rows_of_steps_that_are_done_again_go(tmp_path: Path) -> None:
    logs = tmp_path / "run" / "logs"
    logs.mkdir(parents=True)
    (logs / "metrics.csv").write_text("step,train/loss\n1,0.9\n2,0.8\n")
    loggers(logs, 1)
    assert read_history(logs) == []
