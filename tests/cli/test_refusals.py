"""A refusal of the operating system behind another error: found with its number, and nothing else is changed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tunebook.bundle.write import system_refusals
from tunebook.cli.refusals import refusal


def test_a_full_disk_is_found_behind_the_error_of_safetensors() -> None:
    with pytest.raises(OSError) as caught, system_refusals():
        raise RuntimeError("I/O error: No space left on device (os error 28)")
    assert caught.value.errno == errno.ENOSPC
    told = refusal(caught.value, "run")
    assert told is not None and "no room left" in told.what


def test_any_other_error_stays_what_it_is() -> None:
    mine = ValueError("no number")
    with pytest.raises(ValueError) as caught, system_refusals():
        raise mine
    assert caught.value is mine and mine.__cause__ is None


def test_an_error_that_was_raised_from_itself_ends() -> None:
    mine, other = ValueError("one"), ValueError("other")
    mine.__cause__, other.__cause__ = other, mine
    assert refusal(mine) is None


def test_too_few_file_handles_are_one_message(tmp_path: Path, reviews: Path) -> None:
    given = f"recipe=review_sentiment data.train={reviews} data.label=label data.max_length=24"
    command = f"ulimit -n 6; exec {sys.executable} -m tunebook check {given} data.cache_dir={tmp_path / 'cache'}"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "error: Too many files are open at once" in done.stderr
    assert "ulimit -n 4096" in done.stderr
    assert "Traceback" not in done.stderr
