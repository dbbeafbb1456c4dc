"""The log of a run: its rows are in the file whenever it is killed, and go on where a run resumes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tunebook.config.schema import LoggerConfig, LoggerName
from tunebook.training.loggers import make_loggers
from tunebook.training.run_log import Row, read_history

BEFORE: list[Row] = [{"step": 1, "train/loss": 0.9}, {"step": 2, "train/loss": 0.8, "validation/f1": 0.5}]
KILLED = """
import os, signal, sys
from pathlib import Path
from tunebook import files
from tunebook.training.run_log import RunLog

log = RunLog(Path(sys.argv[1]))
log.log_metrics({"train/loss": 0.9}, step=1)
log.save()
os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
log.log_metrics({"train/loss": 0.8, "validation/f1": 0.5}, step=2)
log.save()  # a new column: the whole file is written anew
"""


def begin(folder: Path, step: int, rows: list[Row]) -> None:
    make_loggers(LoggerConfig(names=[LoggerName.csv]), folder, "run", step, rows)


def test_a_kill_while_a_column_is_added_loses_no_row(tmp_path: Path) -> None:
    child = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True)
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert read_history(tmp_path) == BEFORE[:1]


@pytest.mark.parametrize("damage", ["", "step,train/loss\n1,0.9\n2,0.8\n3,0.7\n", None])
def test_a_resumed_run_has_the_rows_that_its_checkpoint_holds(tmp_path: Path, damage: str | None) -> None:
    """Whether the file was emptied by a power cut, holds rows of steps that are done again, or is gone."""
    logs = tmp_path / "logs"
    logs.mkdir()
    if damage is not None:
        (logs / "metrics.csv").write_text(damage)
    begin(logs, 3, BEFORE)
    assert read_history(logs) == BEFORE
    assert (logs / "metrics.csv").read_text() == "step,train/loss,validation/f1\n1,0.9,\n2,0.8,0.5\n"
    begin(logs, 0, [])
    assert read_history(logs) == []
