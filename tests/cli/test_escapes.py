"""What steers a terminal, in labels, columns, texts and file names, does not reach it."""

from __future__ import annotations

import csv
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Tunebook

TITLE = "\x1b]0;pwned\x07"
"""Sets the title of the window."""
CLEAR = "\x1b[2J\x9b2J"
"""Clears the screen, in either spelling."""
SMALL = ["data.max_length=16", "trainer=cpu", "trainer.max_steps=2", "evaluation.resamples=20", "logger=csv"]


def write(path: Path, label: str) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        writer.writerows([f"number {i} {CLEAR} thing{i}", ("good", label)[i % 2]] for i in range(60))
    return path


@pytest.mark.parametrize("verb", ["check", "train"])
def test_labels_are_drawn(verb: str, tunebook: Tunebook, tmp_path: Path) -> None:
    rows = write(tmp_path / "rows.csv", f"bad{TITLE}")
    done = tunebook(verb, "recipe=review_sentiment", f"data.train={rows}", "data.label=label", *SMALL)
    assert done.returncode == 0, done.stderr
    assert "bad\u241b]0;pwned\u2407" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr and "\x9b" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", [f"no{CLEAR}.csv", f"rows{TITLE}.csv"])
def test_file_names_in_messages_are_drawn(name: str, tunebook: Tunebook, tmp_path: Path) -> None:
    done = tunebook("check", "recipe=review_sentiment", f"data.train={tmp_path / name}")
    assert done.returncode == 2 and "where: data.train" in done.stderr
    assert "\x1b" not in done.stderr and "\x9b" not in done.stderr and "\u241b" in done.stderr


def test_predictions_are_drawn_on_a_terminal_and_whole_in_a_pipe(tunebook: Tunebook, tmp_path: Path) -> None:
    rows = write(tmp_path / "rows.csv", "bad")
    given = ["recipe=review_sentiment", f"data.train={rows}", "data.label=label", *SMALL, f"run_dir={tmp_path / 'run'}"]
    assert tunebook("train", *given).returncode == 0
    piped = tunebook("predict", str(tmp_path / "run"), str(rows))
    assert piped.stdout.count(CLEAR) == 60
    reading, writing = pty.openpty()
    command = [sys.executable, "-m", "tunebook", "predict", str(tmp_path / "run"), str(rows)]
    with subprocess.Popen(command, stdout=writing, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as process:
        os.close(writing)
        shown = b""
        while True:
            try:
                piece = os.read(reading, 4096)
            except OSError:  # the terminal is closed
                break
            if not piece:
                break
            shown += piece
        assert process.wait(60) == 0
    os.close(reading)
    text = shown.decode("utf-8")
    assert text.count("number") == 60 and "\x1b" not in text and "\x9b" not in text
