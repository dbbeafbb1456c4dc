"""A run whose rows were moved is resumed by the command that its message says."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml

from tests.conftest import Tunebook, write_reviews
from tests.finished import finished
from tests.light import said_lightly
from tunebook.run_folder import RunFolder


@pytest.fixture
def moved(tmp_path: Path) -> RunFolder:
    """A run without its model, in a folder that was moved together with its rows."""
    (tmp_path / "old place").mkdir()
    run = finished(tmp_path / "old place", "trainer.max_epochs=1")
    shutil.rmtree(run.bundle)
    run.report.unlink()
    (tmp_path / "old place").rename(tmp_path / "new place")
    return RunFolder(tmp_path / "new place" / "run")


def command_of(said: str) -> list[str]:
    """The command in a message, as a shell reads it."""
    (line,) = re.findall(r"^  fix:.*?tunebook (.*)$", said, re.M)
    return shlex.split(line)


def test_the_command_of_the_message_resumes_a_moved_run(moved: RunFolder, tmp_path: Path, tunebook: Tunebook) -> None:
    other = write_reviews(tmp_path / "other rows.csv", 48, seed=9)
    verbs = (["predict", str(moved.path), str(other)], ["resume", str(moved.path)])
    commands = [command_of(tunebook(*verb).stderr) for verb in verbs]
    assert commands == [["train", f"resume={moved.path}"]] * 2
    work = tmp_path / "light"
    work.mkdir()
    command = command_of(said_lightly(work, *commands[0]))
    rows = moved.path.parent
    assert command == [*commands[0], f"data.train={rows / 'train.csv'}", f"data.test={rows / 'test.csv'}"]
    before = moved.config.read_text()
    changed = tunebook(*commands[0], f"data.train={other}", f"data.test={rows / 'test.csv'}")
    assert changed.returncode == 2 and "its rows changed" in changed.stderr
    assert moved.config.read_text() == before
    done = tunebook(*command)
    assert done.returncode == 0, done.stderr
    assert moved.finished
    data = yaml.safe_load(moved.config.read_text())["data"]
    assert (data["train"], data["test"]) == (str(rows / "train.csv"), str(rows / "test.csv"))


def test_where_nothing_is_known_the_message_leaves_a_place_for_it(moved: RunFolder, tunebook: Tunebook) -> None:
    (moved.path.parent / "train.csv").rename(moved.path.parent / "renamed.csv")
    (moved.path.parent / "test.csv").unlink()
    refused = tunebook("train", f"resume={moved.path}")
    where = shlex.quote(str(moved.path))
    assert refused.returncode == 2
    assert f"where it was moved: tunebook train resume={where} data.train=<its new place>" in refused.stderr
    refused = tunebook("train", f"resume={moved.path}", "data.train=x.csv", "seed=3")
    assert refused.returncode == 2 and "where: seed=3" in refused.stderr
    assert f"fix:   tunebook train resume={where}, or" in refused.stderr
