"""Garbage is looked for seldom while a command starts, and as usual while it trains."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import write_reviews

CODE = """
import gc, sys
usual = gc.get_threshold()
import tunebook.pipeline.train
import tunebook.cli.check
from tunebook.cli.main import main

def told(what):
    print(what, "as usual" if gc.get_threshold() == usual else "seldom", gc.isenabled())

def typed(config, made=tunebook.cli.check.typed):
    told("check")
    return made(config)

tunebook.cli.check.typed = typed
try:
    main(sys.argv[1:])
except SystemExit as error:
    assert error.code == 2
from tunebook.cli import run_training

def devices(config):
    told("train")
    raise SystemExit

run_training.check_devices = devices
try:
    run_training.start(None, "nowhere")
except SystemExit:
    pass
"""


def test_it_is_looked_for_seldom_until_training_begins(tmp_path: Path) -> None:
    rows = write_reviews(tmp_path / "rows.csv", 10)
    arguments = ["check", "recipe=review_sentiment", f"data.train={rows}", "data.label=nothing"]
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, cwd=tmp_path, timeout=300
    )
    assert done.stdout.splitlines() == ["check seldom True", "train as usual True"], done.stderr
