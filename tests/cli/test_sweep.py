"""Sweeps: a run for each value, over recipes too, and a table of them at the end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.chatted import write_chats
from tests.cli.test_main import FAST
from tests.conftest import Tunebook, write_reviews
from tunebook.cli.sweep import with_first_choices
from tunebook.composing.command import Command


def table(printed: str) -> list[list[str]]:
    """The cells of the last table, a list a line; a line that goes on in the next is put together."""
    lines = printed.splitlines()
    start = max(number for number, line in enumerate(lines) if line.startswith("run   overrides"))
    starts = [lines[start].index(name) for name in ("run", "overrides", "result", "folder")]
    rows: list[list[str]] = []
    for line in lines[start + 2 :]:
        cells = [line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
        if cells[0]:
            rows.append(cells)
        else:
            rows[-1] = [f"{whole} {more}".strip() for whole, more in zip(rows[-1], cells, strict=True)]
    return rows


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_a_sweep_makes_one_run_for_each_value_and_shows_them(launcher: str, tunebook: Tunebook, tmp_path: Path):
    if launcher == "joblib":
        pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    rows = write_reviews(tmp_path / "rows.csv", 40)
    parallel = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=1"] if launcher == "joblib" else []
    done = tunebook("train", *FAST, f"data.train={rows}", "-m", "seed=3,4", "hydra.sweep.dir=sweep", *parallel)
    assert done.returncode == 0, done.stderr
    sweep = tmp_path / "work" / "sweep"
    shown = table(done.stdout)
    assert len(shown) == 2
    for job, seed in ((0, 3), (1, 4)):
        run = sweep / str(job)
        assert f"\nseed: {seed}\n" in (run / "config.yaml").read_text()
        assert (run / "report.html").is_file() and (run / "model" / "model.safetensors").is_file()
        score = json.loads((run / "metrics.json").read_text())["test"]["macro_f1"]
        said = f"macro_f1 {score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f})"
        assert shown[job] == [str(job), f"seed={seed}", said, f"sweep/{job}"]
    assert {p.name for p in (tmp_path / "work").iterdir()} == {"sweep"}


def test_a_mistake_in_a_sweep_is_one_message_and_marked_in_the_table(tunebook: Tunebook, tmp_path: Path):
    rows = write_reviews(tmp_path / "rows.csv", 40)
    swept = [f"data.train=nothing.csv,{rows}", "hydra.sweep.dir=sweep"]
    done = tunebook("train", *FAST, "-m", *swept)
    assert done.returncode == 2
    assert "nothing.csv does not exist" in done.stderr and "Traceback" not in done.stderr
    failed, good = table(done.stdout)
    assert failed[:2] == ["0", "data.train=nothing.csv"] and failed[3] == ""
    assert failed[2].startswith("failed: ") and "nothing.csv does not exist" in failed[2]
    assert good[0] == "1" and good[2].startswith("macro_f1 ") and good[3] == "sweep/1"
    assert not (tmp_path / "work" / "sweep" / "0").exists()


def test_a_sweep_over_recipes_of_two_families(tunebook: Tunebook, tmp_path: Path):
    done = tunebook("check", "-m", "recipe=customer_chat,review_sentiment", "data.max_length=64,128", "seed=1")
    assert [row[1] for row in table(done.stdout)] == [
        f"recipe={recipe} data.max_length={length}"
        for recipe in ("customer_chat", "review_sentiment")
        for length in (64, 128)
    ]
    assert done.returncode == 2 and "rows cannot be used" in done.stderr, "the samples are longer than 64 tokens"
    assert list((tmp_path / "work").iterdir()) == []
    write_chats(tmp_path / "work" / "chats.jsonl", 40)
    done = tunebook("check", "-m", "recipe=customer_chat,review_sentiment", "data.train=null,chats.jsonl")
    results = {row[1]: row[2] for row in table(done.stdout)}
    assert results["recipe=customer_chat data.train=null"] == "finished"
    assert results["recipe=review_sentiment data.train=null"] == "finished"
    assert results["recipe=review_sentiment data.train=chats.jsonl"].startswith("failed: chats.jsonl has no column")


def test_an_unknown_recipe_in_a_sweep_is_named(tunebook: Tunebook, tmp_path: Path):
    done = tunebook("train", "-m", "recipe=review_sentiment,medical_diagnosi")
    assert done.returncode == 2 and "There is no recipe named 'medical_diagnosi'" in done.stderr
    assert "did you mean recipe=medical_diagnosis?" in done.stderr
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize(
    ("verb", "typed", "flags", "expected"),
    [
        ("train", ["recipe=a,b", "seed=1"], ["-m"], ["recipe=a", "recipe=a,b", "seed=1", "+folder"]),
        ("train", ["recipe=choice(b,a)"], ["--multirun"], ["recipe=b", "recipe=choice(b,a)", "+folder"]),
        ("train", ["recipe=a,b", "hydra.sweep.dir=x"], ["-m"], ["recipe=a", "recipe=a,b", "hydra.sweep.dir=x"]),
        ("compare", ["recipe=a,b"], ["-m"], ["recipe=a", "recipe=a,b"]),
        ("train", ["recipe=a", "seed=1,2"], ["-m"], ["recipe=a", "seed=1,2"]),
        ("train", ["recipe=a,b"], [], ["recipe=a,b"]),
        ("train", ["recipe=a,b", "hydra/sweeper=optuna"], ["-m"], ["recipe=a,b", "hydra/sweeper=optuna"]),
        ("train", ["recipe=a,[b"], ["-m"], ["recipe=a,[b"]),
        ("train", ["+experiment=x,y"], ["-m"], ["+experiment=x", "+experiment=x,y", "+folder"]),
        ("train", ["recipe=a", "+experiment=x,y"], ["-m"], ["+experiment=x", "recipe=a", "+experiment=x,y"]),
    ],
)
def test_a_sweep_over_recipes_or_experiments_is_composed_with_the_first(
    verb: str, typed: list[str], flags: list[str], expected: list[str]
):
    folder = "hydra.sweep.dir='runs/sweep_${now:%Y-%m-%d_%H-%M-%S-%f}'"
    known: Any = {"a": None, "b": None}
    assert with_first_choices(Command(verb, typed, known), flags) == [folder if o == "+folder" else o for o in expected]


def test_the_runs_of_a_sweep_are_numbered_below_run_dir(tunebook: Tunebook, tmp_path: Path):
    rows = write_reviews(tmp_path / "rows.csv", 40)
    done = tunebook("train", *FAST, f"data.train={rows}", "-m", "seed=3,4", "run_dir=mine")
    assert done.returncode == 0, done.stderr
    assert [row[3] for row in table(done.stdout)] == ["mine/0", "mine/1"]
    assert (
        f"run_dir: {tmp_path / 'work' / 'mine' / '1'}\n"
        in (tmp_path / "work" / "mine" / "1" / "config.yaml").read_text()
    )
    assert {p.name for p in (tmp_path / "work").iterdir()} == {"mine"}
    both = tunebook("train", *FAST, f"data.train={rows}", "-m", "seed=3,4", "run_dir=mine", "hydra.sweep.dir=other")
    assert both.returncode == 2
    assert "two names: run_dir=mine, and hydra.sweep.dir=other" in both.stderr
    assert not (tmp_path / "work" / "other").exists()
