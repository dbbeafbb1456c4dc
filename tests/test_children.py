"""Files of the current folder are not imported: not by a command, nor by any process that it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import write_reviews

SHADOWED = (
    *("json", "random", "ctypes", "logging", "tempfile", "runpy", "subprocess", "signal", "torch", "numpy", "files"),
    *("hydra", "transformers", "lightning", "sklearn", "filelock", "psutil", "errors", "data", "tunebook", "site"),
)
SMALL = ("data.label=label", "data.max_length=16", "trainer=cpu", "evaluation.resamples=20", "logger=csv")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files named as modules of Python, of libraries and of Tunebook; each leaves a trace when run."""
    for name in SHADOWED:
        trace = tmp_path / "traces" / name
        (tmp_path / f"{name}.py").write_text(f"open({str(trace)!r}, 'w').close()\nraise SystemExit('{name} was run')\n")
    (tmp_path / "traces").mkdir()
    write_reviews(tmp_path / "rows.csv", 60)
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        (
            "compare",
            "recipe=review_sentiment",
            "data.train=rows.csv",
            *SMALL,
            "compare.rungs=[majority]",
            "compare=quick",
        ),
        ("verify", "review_sentiment", "--only", "lazy,composes,options,typo,loss"),
        (
            *("train", "recipe=review_sentiment", "data.train=rows.csv", *SMALL, "trainer.max_steps=2"),
            *("trainer=ddp", "trainer.accelerator=cpu", "evaluation.zero_shot=false"),
        ),
    ],
    ids=lambda arguments: arguments[0],
)
def test_files_of_the_current_folder_are_not_run(arguments: tuple[str, ...], folder: Path, cache: Path) -> None:
    if arguments[0] == "train" and sys.version_info < (3, 11):
        pytest.skip("Lightning starts these processes, and Python 3.10 knows no safe path")
    program = Path(sys.executable).with_name("tunebook")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TUNEBOOK_CACHE": str(cache)}
    done = subprocess.run(
        [program, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert [path.name for path in (folder / "traces").iterdir()] == []
    assert done.returncode == 0, done.stdout + done.stderr
