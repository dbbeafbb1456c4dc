"""What nobody foresaw ends in one line and a file to send; a lack of memory is no fault."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import torch

from tests.forked import run_forked
from tests.user_error import user_error
from tunebook.cli.refusals import as_user_error

UNFORESEEN = """
import tunebook.cli.main as program

def dispatch(arguments):
    return {}["a key that is not there"]

program._dispatch = dispatch
program.main(["train", "recipe=review_sentiment"])
"""


def test_a_fault_is_one_line_and_a_file(tmp_path: Path) -> None:
    done = run_forked([], dict(os.environ), tmp_path, 60, code=UNFORESEEN)
    first, where, fix = done.stderr.splitlines()
    assert done.returncode == 70
    assert first == "error: This is a fault of Tunebook, not of what it was given: KeyError: 'a key that is not there'"
    assert fix.startswith("  fix:   please report it with this file")
    (named,) = re.findall(r"^  where: (\S+)$", where)
    report = Path(named)
    text = report.read_text(encoding="utf-8")
    report.unlink()
    for part in (
        "command: tunebook train recipe=review_sentiment",
        "Traceback",
        "in dispatch",
        f"torch {torch.__version__}",
    ):
        assert part.partition("+")[0] in text
    assert list(tmp_path.iterdir()) == []


def test_its_traceback_can_be_asked_for(tmp_path: Path) -> None:
    done = run_forked([], {**os.environ, "TUNEBOOK_TRACEBACK": "1"}, tmp_path, 60, code=UNFORESEEN)
    assert done.returncode == 1 and "Traceback" in done.stderr and "tunebook-fault" not in done.stderr


def no_memory() -> None:
    torch.empty(1 << 50, dtype=torch.uint8)


@pytest.mark.parametrize("raised", [lambda: bytearray(1 << 60), no_memory])
def test_a_lack_of_memory_is_a_message(raised: object) -> None:
    with user_error("system.out-of-memory") as caught:
        try:
            raised()  # type: ignore[operator]
        except Exception as error:
            raise as_user_error(error) or error from error
    assert "data.batch_size" in str(caught.value.fix)
