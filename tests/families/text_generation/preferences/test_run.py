"""Runs that learn from preferences: what is learned, what it costs, how they go on, and what comes of them."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.chatted import QUICK, chatted, composed, tiny_llama, write_chats
from tests.conftest import Tunebook
from tests.preferred import write_preferences
from tunebook.cli.run_training import train_in
from tunebook.pipeline.prepare import prepare
from tunebook.pipeline.stored import read_config
from tunebook.run_folder import RunFolder
from tunebook.training import checkpoints as checkpoints_module
from tunebook.training.checkpoints import step_checkpoints

SMALL = ["evaluation.max_generations=2", "recipe.max_new_tokens=4", "data.batch_size=16", "optim.lr=3e-3"]
WATCHED = {"dpo": "preference_accuracy", "kto": "reward_auroc"}


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("llama"))


def preferred(folder: Path, llama: Path, objective: str, *more: str, planted: bool = True, count: int = 160) -> Any:
    rows = write_preferences(folder / "rows.jsonl", objective, count, planted=planted)
    given = [f"objective={objective}", f"data.train={rows}", f"model.name={llama}", *SMALL]
    return chatted(folder, *given, "data.test_fraction=0.25", *more)


def metrics_of(run: RunFolder) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(run.metrics.read_text())
    return made


@pytest.mark.parametrize("objective", ["dpo", "kto"])
def test_a_planted_preference_is_learned(tmp_path: Path, llama: Path, objective: str) -> None:
    run = preferred(tmp_path, llama, objective, "trainer.max_epochs=3", "trainer.rehearse=true")
    found = metrics_of(run)
    watched = found["test"][WATCHED[objective]]
    assert watched["value"] > 0.9 and watched["low"] > 0.6 and watched["n"] == 40
    assert found["test"]["reward_margin"]["low"] > 0
    assert WATCHED[objective] not in found["baselines"]["before tuning"]
    # What it cost: the same answers before and after, as in supervised tuning.
    for name in ("perplexity", "chrf"):
        assert found["baselines"]["before tuning"][name]["value"] is not None
        assert name in found["differences"]["before tuning"]
    page = run.report.read_text()
    assert "Chance is 0.5: the preference was learned." in page
    rows = list(csv.DictReader(run.preferences.read_text().splitlines()))
    assert len(rows) == 40
    if objective == "dpo":
        right = [float(row["reward_chosen"]) > float(row["reward_rejected"]) for row in rows]
        assert sum(right) / 40 == watched["value"]
        margin = np.mean([float(row["reward_chosen"]) - float(row["reward_rejected"]) for row in rows])
        assert margin == pytest.approx(found["test"]["reward_margin"]["value"], rel=1e-3)
    else:
        sides = [[float(row["reward"]) for row in rows if row["good"] == which] for which in ("true", "false")]
        beaten = np.mean([(good > bad) + 0.5 * (good == bad) for good in sides[0] for bad in sides[1]])
        assert beaten == pytest.approx(watched["value"], abs=1e-3)


@pytest.mark.parametrize("objective", ["dpo", "kto"])
def test_shuffled_thumbs_teach_nothing(tmp_path: Path, llama: Path, objective: str) -> None:
    run = preferred(tmp_path, llama, objective, "trainer.max_epochs=2", planted=False)
    watched = metrics_of(run)["test"][WATCHED[objective]]
    assert watched["low"] < 0.5 < watched["high"]
    assert "do not show that a preference was learned" in run.report.read_text()


def digest(run: RunFolder) -> str:
    return hashlib.sha256((run.bundle / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("objective", "more"),
    [
        ("dpo", ["adapt=lora", "adapt.lora_dropout=0.1"]),
        ("kto", ["trainer.accumulate_grad_batches=2"]),
    ],
)
def test_a_killed_run_goes_on_to_the_same_weights(
    tmp_path: Path, llama: Path, monkeypatch: pytest.MonkeyPatch, objective: str, more: list[str]
) -> None:
    monkeypatch.setattr(checkpoints_module, "_KEEP", 1000)
    settings = ["trainer.max_epochs=2", "trainer.checkpoint_every=1", "evaluation.zero_shot=false"]
    whole = preferred(tmp_path, llama, objective, *settings, *more, count=60)
    saved = step_checkpoints(whole.checkpoints)
    assert len(saved) >= 3
    shutil.rmtree(tmp_path / "cache")  # the reference is the same where it has to be computed again
    run = RunFolder(tmp_path / "resumed")
    run.checkpoints.mkdir(parents=True)
    shutil.copy(whole.config, run.config)
    shutil.copy(saved[0], run.checkpoints)
    shutil.copytree(whole.logs, run.logs)
    train_in(read_config(run), run, resumed=True)
    assert digest(run) == digest(whole)
    assert run.preferences.read_bytes() == whole.preferences.read_bytes()
    assert (run.logs / "metrics.csv").read_text() == (whole.logs / "metrics.csv").read_text()


def test_it_starts_from_a_supervised_bundle_and_answers_like_one(
    tmp_path: Path, llama: Path, tunebook: Tunebook
) -> None:
    chats = write_chats(tmp_path / "chats.jsonl", 40, rounds=1)
    first = tmp_path / "first"
    first.mkdir()
    tuned = chatted(first, f"data.train={chats}", f"model.name={llama}", *SMALL, "trainer.max_epochs=1")
    run = preferred(tmp_path, tuned.bundle, "dpo", "trainer.max_epochs=1", "adapt=lora", count=60)
    card = (run.bundle / "README.md").read_text()
    assert "preferences (DPO)" in card
    assert (run.bundle / "adapter" / "adapter_config.json").is_file()
    before, after = (RunFolder(each).bundle / "tunebook.json" for each in (tuned.path, run.path))
    assert json.loads(before.read_text())["head"] == json.loads(after.read_text())["head"]
    done = tunebook("predict", str(run.path), input="Where is my parcel?\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("file,line,prompt,answer")


def test_the_reference_is_computed_once_and_read_back(
    tmp_path: Path, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tunebook.families.text_generation.preferences import reference

    rows = write_preferences(tmp_path / "rows.jsonl", "dpo", 40)
    given = [*QUICK, "objective=dpo", f"data.train={rows}", f"model.name={llama}", f"run_dir={tmp_path / 'run'}"]
    config = composed(*given, f"data.cache_dir={tmp_path / 'cache'}")
    prepared = prepare(config, tmp_path / "rejects.jsonl")
    stages, recipe = prepared.recipe.family.stages, prepared.recipe
    model = stages.build_model(recipe, prepared.source, (), config, prepared.encoded)
    _, first = stages.training_data(model, prepared.encoded, prepared.source, config)
    known = first.splits["train"].items.reference
    monkeypatch.setattr(reference, "log_probs_of", None)  # would fail if it were called
    _, again = stages.training_data(model, prepared.encoded, prepared.source, config)
    assert np.array_equal(again.splits["train"].items.reference, known)
    assert known.shape == (len(prepared.encoded.rows["train"]), 2) and np.isfinite(known).all()
    # An untrained model finds any token about as likely as another.
    tokens = sum(int(row.supervised.sum()) for row in first.splits["train"].items[0].rows)
    assert known[0].sum() == pytest.approx(-tokens * math.log(len(prepared.encoded.tokenizer.tokenizer)), rel=0.05)
