"""`tunebook verify` at the terminal: what it prints, and its exit codes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Tunebook
from tests.testing.test_mutations import PAGE, Break, write_recipe
from tests.user_error import user_error
from tunebook.cli.verify import _count
from tunebook.testing import CHECKS, Outcome, RecipeFailed, Status, Workshop, check_recipe, verify_recipe

QUICK = "lazy,composes,options,typo"


def test_checks_are_listed(tunebook: Tunebook):
    done = tunebook("verify", "--list")
    assert done.returncode == 0 and [line.split()[0] for line in done.stdout.splitlines()] == list(CHECKS)


@pytest.mark.parametrize(
    ("arguments", "phrases"),
    [
        ([], ["takes one recipe"]),
        (["review_sentimnt"], ["did you mean recipe=review_sentiment?"]),
        (["review_sentiment", "--only", "resum"], ["no check named 'resum'", "did you mean resume?"]),
        (["review_sentiment", "data.colour=red"], ["There is no config key 'data.colour'"]),
        (["review_sentiment", "red"], ["This is not an override"]),
        (["data.colour=red", "review_sentiment", "--only", QUICK], ["There is no config key 'data.colour'"]),
        (["data.colour=red"], ["takes one recipe"]),
        (["review_sentiment", "--only", ""], ["No check is named", "they are: lazy, "]),
        (["review_sentiment", "data.train=nowhere.csv"], ["nowhere.csv does not exist", "where: data.train"]),
    ],
)
def test_bad_input_ends_with_two(arguments: list[str], phrases: list[str], tunebook: Tunebook):
    done = tunebook("verify", *arguments)
    assert done.returncode == 2 and "Traceback" not in done.stderr and done.stdout == ""
    for phrase in phrases:
        assert done.stderr.count(phrase) == 1


def test_some_checks_of_a_good_recipe_end_with_zero_and_load_no_torch(tunebook: Tunebook, tmp_path: Path):
    started = time.monotonic()
    done = tunebook("verify", "seed=1", "review_sentiment", "--only", QUICK, "optim.lr=0.1")
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^(\w+) +ok  ", done.stdout, re.M) == QUICK.split(",")
    assert done.stdout.endswith("4 of 4 checks passed\n")
    assert list((tmp_path / "work").iterdir()) == [] and time.monotonic() - started < 30


def test_a_broken_recipe_ends_with_one_and_says_what_was_not_reached(tunebook: Tunebook, tmp_path: Path):
    env = {"TUNEBOOK_RECIPES": str(write_recipe(tmp_path, Break(page=PAGE.replace("doors", "windows"))))}
    done = tunebook("verify", "doors", env=env)
    assert done.returncode == 1 and done.stderr == ""
    assert re.search(r"^composes +FAILED +.*recipe\.name to 'windows'.*doors\.yaml:6", done.stdout, re.M)
    assert re.search(r"^resume +not reached +it needs composes$", done.stdout, re.M)
    assert "these did not: composes, options, typo, bad_rows" in done.stdout


@pytest.mark.parametrize(
    ("above", "phrase"),
    [("import os\nos._exit(3)\n", "exit status 3"), ("import os, signal\nos.kill(os.getpid(), 9)\n", "exit status -9")],
)
def test_a_recipe_that_takes_its_process_along_is_told(
    above: str, phrase: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TUNEBOOK_RECIPES", str(write_recipe(tmp_path, Break(above=above))))
    with pytest.raises(RecipeFailed, match=phrase) as caught:
        check_recipe("doors")
    assert {o.check: o.status for o in caught.value.outcomes}["offline"] is Status.not_reached


def test_a_recipe_without_rows_needs_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workshop: Workshop):
    folder = write_recipe(tmp_path, Break())
    monkeypatch.setenv("TUNEBOOK_RECIPES", str(folder))
    rows = folder / "doors" / "samples"
    rows.rename(tmp_path / "elsewhere")
    with user_error("recipe.no-samples", where="recipe=doors", match="no sample rows to be verified with"):
        verify_recipe("doors", only=["bad_rows"])
    given = [f"data.train={tmp_path / 'elsewhere' / 'train.csv'}"]
    outcomes = check_recipe("doors", given, only=["bad_rows", "trains"], workshop=workshop)
    assert [outcome.status for outcome in outcomes] == [Status.passed, Status.passed]


HANGS = """
    def check_labels(self, labels, data):
        import os
        import time
        from pathlib import Path

        (Path(__file__).parent / "reached").write_text(str(os.getpid()))
        time.sleep(600)
"""


def test_ctrl_c_leaves_no_process_behind(tmp_path: Path):
    folder = write_recipe(tmp_path, Break(HANGS))
    environment = {**os.environ, "TUNEBOOK_RECIPES": str(folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tunebook", "verify", "doors", "--only", "trains"]
    reached = folder / "doors" / "reached"
    # In a session of its own, so that the signal reaches what a terminal would send it to, and not these tests.
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        for _ in range(6000):
            if reached.is_file() and reached.read_text():
                break
            assert process.poll() is None
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stderr is not None and process.stderr.read() == "interrupted\n"
    job = int(reached.read_text())
    for _ in range(500):
        if not _runs(job):
            break
        time.sleep(0.01)
    assert not _runs(job)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{process}/stat")
    # Killed, and not yet waited for by whoever inherits it.
    return not (stat.is_file() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


def test_what_means_nothing_to_a_recipe_is_not_counted_as_passed():
    means = [Outcome("labels", Status.not_applicable, "it has none"), Outcome("loss", Status.passed, "0.1")]
    assert _count(means) == "1 of 2 checks passed, 1 not applicable"
    failed = Outcome("trains", Status.failed, "it does not")
    assert _count([*means, failed]) == "1 of 3 checks passed, 1 not applicable; these did not: trains"
