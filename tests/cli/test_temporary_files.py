"""What each verb leaves in the temporary directory: nothing but the file of rejected rows that it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import Tunebook, write_reviews
from tests.finished import finished
from tunebook.run_folder import RunFolder

OF_TORCH = "torchinductor_"
"""How the folder begins that torch makes there for a user, empty, whoever imports it."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return finished(tmp_path_factory.mktemp("run"), "trainer.max_epochs=1")


def left(tunebook: Tunebook, folder: Path, *arguments: str) -> tuple[list[str], str]:
    """The files and folders that a command leaves in an empty temporary directory, and what it prints."""
    folder.mkdir(exist_ok=True)
    done = tunebook(*arguments, env={"TMPDIR": str(folder)})
    assert done.returncode in (0, 2) and "Traceback" not in done.stderr, done.stderr
    found = (path.relative_to(folder) for path in folder.rglob("*"))
    return sorted(str(path) for path in found if not path.parts[0].startswith(OF_TORCH)), done.stdout + done.stderr


def test_no_verb_leaves_anything(run: RunFolder, tunebook: Tunebook, tmp_path: Path) -> None:
    rows = write_reviews(tmp_path / "rows.csv", 60)
    given = ["recipe=review_sentiment", f"data.train={rows}", "data.label=label", "data.max_length=16"]
    given += ["trainer.progress=false"]
    small = ["trainer.max_steps=2", "logger=csv", "evaluation.resamples=50", "data.batch_size=8"]
    test = run.path.parent / "test.csv"
    commands = [
        ["list"],
        ["show", "review_sentiment"],
        ["check", *given, "-m", "seed=1,2"],
        ["check", *given, "-m", "seed=1,2", "data.label=nothing"],
        ["train", *given, *small, "trainer=ddp", "trainer.accelerator=cpu"],
        ["train", *given, *small, "-m", "seed=1,2", "data.label=nothing"],
        ["predict", str(run.path), str(test)],
        ["evaluate", f"bundle={run.path}", f"data.test={test}", "evaluation.resamples=50", "accelerator=cpu"],
        ["compare", *given, "data.label=nothing"],
        ["export", str(run.path), "-o", "model.onnx"],
        ["export", str(run.path), "-o", "exported", "--precision", "float32"],
        ["chat", str(run.path)],
        ["new", "my_recipe"],
    ]
    for number, command in enumerate(commands):
        assert left(tunebook, tmp_path / f"tmp-{number}", *command)[0] == [], command


def test_rejected_rows_stay_where_the_message_says(run: RunFolder, tunebook: Tunebook, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text(write_reviews(rows, 60).read_text() + ",good\n")
    given = ["recipe=review_sentiment", f"data.train={rows}", "data.label=label", "trainer.progress=false"]
    for number, command in enumerate((["check", *given], ["predict", str(run.path), str(rows)])):
        folder = tmp_path / f"tmp-{number}"
        found, said = left(tunebook, folder, *command)
        (named,) = set(re.findall(rf"{folder}/(\S+/rejects\.jsonl)", said))
        assert found == [str(Path(named).parent), named]
