"""Tab completion as bash asks for it: the real function, on a line that is being typed."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tunebook.cli.completion import OPTIONS

VERBS = ["list", "show", "check", "train", "compare", "evaluate", "predict", "export", "new", "verify", "chat", "pick"]
CHOSEN = "tunebook train recipe=review_sentiment"


@cache
def installed() -> str:
    """The shell's function, as `eval "$(tunebook -sc install=bash)"` takes it."""
    command = "import sys; sys.argv[0] = 'tunebook'; from tunebook.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", command, "-sc", "install=bash"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def complete(line: str, work: Path) -> list[str]:
    """Ask as bash does: the function that `-sc install=bash` defines, and an executable as an installed one is."""
    script = f"""
        {installed()}
        COMP_LINE={line!r}; COMP_POINT=${{#COMP_LINE}}
        COMP_WORDS=($COMP_LINE); [[ "$COMP_LINE" == *" " ]] && COMP_WORDS+=("")
        COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
        hydra_bash_completion
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    folder = work.parent / f"{work.name}_bin"
    folder.mkdir(exist_ok=True)
    (folder / "tunebook").write_text(f'#!/bin/sh\nexec {sys.executable} -m tunebook "$@"\n')
    (folder / "tunebook").chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env=environment, cwd=work, timeout=120
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tunebook tr", ["train"]),
        ("tunebook ", VERBS),
        ("tunebook show review_s", ["review_sentiment"]),
        ("tunebook train recipe=review_s", ["recipe=review_sentiment"]),
        ("tunebook train -m recipe=review_sentiment,med", ["recipe=review_sentiment,medical_diagnosis"]),
        ("tunebook check recipe=review_sentiment model=min", ["model=minilm"]),
        (f"{CHOSEN} optim.l", ["optim.layer_decay=", "optim.lr="]),
        (f"{CHOSEN} hydra/laun", ["hydra/launcher="]),
        ("tunebook evaluate bun", ["bundle="]),
        ("tunebook compare recipe=review_sentiment compare.see", ["compare.seeds="]),
        ("tunebook train recipe=nothing recipe.", []),
    ],
)
def test_verbs_groups_and_keys(line: str, expected: list[str], tmp_path: Path):
    assert sorted(complete(line, tmp_path)) == sorted(expected)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"{CHOSEN} optim.schedule=li", ["optim.schedule=linear"]),
        (f"{CHOSEN} optim.name=adad", ["optim.name=adadelta"]),
        (f"{CHOSEN} data.leaks=d", ["data.leaks=drop"]),
        (f"{CHOSEN} -m optim.schedule=linear,w", ["optim.schedule=linear,wsd"]),
        (f"{CHOSEN} trainer.progress=", ["trainer.progress=false", "trainer.progress=true"]),
        (f"{CHOSEN} data.label=", ["data.label=stars"]),
        (f"{CHOSEN} optim.lr=", []),  # which is left open
    ],
)
def test_values_are_those_that_can_be_typed(line: str, expected: list[str], tmp_path: Path):
    assert complete(line, tmp_path) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"{CHOSEN} data.train=re", ["data.train=reviews.csv", "data.train=rest/"]),
        (f"{CHOSEN} data.train=rest/", ["data.train=rest/more.csv"]),
        (f"{CHOSEN} data.train=./rest/m", ["data.train=./rest/more.csv"]),
        (f"{CHOSEN} data.train=.h", ["data.train=.hidden.csv"]),
        ("tunebook train resume=re", ["resume=rest/", "resume=reviews.csv"]),
        ("tunebook evaluate bundle=res", ["bundle=rest/"]),
        ("tunebook train --config-dir re", ["rest/"]),
    ],
)
def test_names_of_files_and_folders(line: str, expected: list[str], tmp_path: Path):
    (tmp_path / "rest").mkdir()
    for name in ("reviews.csv", "rest/more.csv", ".hidden.csv", "re$(touch made).csv", "re two.csv"):
        (tmp_path / name).touch()
    assert sorted(complete(line, tmp_path)) == sorted(expected)
    assert not (tmp_path / "made").exists(), "a file's name was run"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tunebook train --c", ["--cfg", "--config-dir"]),
        ("tunebook train -", list(OPTIONS)),
        ("tunebook train --cfg j", ["job"]),
        (f"{CHOSEN} --cfg job optim.lr", ["optim.lr="]),
        ("tunebook train --unknown recipe=review_s", ["recipe=review_sentiment"]),
    ],
)
def test_options_of_hydra(line: str, expected: list[str], tmp_path: Path):
    assert sorted(complete(line, tmp_path)) == sorted(expected)


def test_experiments_of_ones_own_folder(tmp_path: Path):
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "careful.yaml").write_text("# @package _global_\noptim: {lr: 1e-5}\n")
    line = f"tunebook train --config-dir conf {CHOSEN.split()[-1]}"
    assert complete(f"{line} +exp", tmp_path) == ["+experiment="]
    assert complete(f"{line} +experiment=", tmp_path) == ["+experiment=careful"]
