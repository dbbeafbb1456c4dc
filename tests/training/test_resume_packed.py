"""Conversations in packs: a run that is interrupted anywhere and goes on ends in the same weights, bit for bit."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.chatted import QUICK, composed, tiny_llama, write_chats
from tests.training.test_kill import finish, resume, signal_at, wait_killed
from tests.training.test_kill import start as start_process
from tests.training.test_resume import equal, last_state, weights
from tests.user_error import user_error
from tunebook.cli.run_training import train_in
from tunebook.families.text_generation.data.template import TEMPLATES
from tunebook.pipeline.stored import read_config
from tunebook.run_folder import RunFolder, save_config
from tunebook.training import checkpoints as checkpoints_module
from tunebook.training.checkpoints import newest_valid, read_checkpoint, step_checkpoints

SMALL = [
    "data.batch_size=6",
    "data.max_length=96",
    "recipe.max_new_tokens=4",
    "evaluation.max_generations=3",
    "evaluation.zero_shot=false",
    "trainer.checkpoint_every=1",
    "trainer.max_epochs=2",
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Conversations of which the longest make several rows."""
    return write_chats(tmp_path_factory.mktemp("rows") / "chats.jsonl", 44, rounds=4)


def given(folder: Path, rows: Path, model: Path, *overrides: str) -> list[str]:
    return [*QUICK, *SMALL, f"data.train={rows}", f"model.name={model}", f"run_dir={folder}", *overrides]


def begun(folder: Path, rows: Path, model: Path, *overrides: str) -> RunFolder:
    run = RunFolder(folder)
    folder.mkdir()
    save_config(composed(*given(folder, rows, model, *overrides)), run)
    return run


def at_checkpoint(folder: Path, whole: RunFolder, checkpoint: Path) -> RunFolder:
    """The run as it was just after a checkpoint was written."""
    run = RunFolder(folder)
    run.checkpoints.mkdir(parents=True)
    shutil.copy(whole.config, run.config)
    shutil.copy(whole.record, run.record)
    shutil.copy(checkpoint, run.checkpoints)
    best = read_checkpoint(checkpoint)["callbacks"]["Checkpoints"]["best_step"]
    if best and best <= int(checkpoint.stem.removeprefix("step-")):
        shutil.copy(whole.checkpoints / f"step-{best:08d}.ckpt", run.checkpoints)
    shutil.copytree(whole.logs, run.logs)
    return run


VARIANTS = {
    "full, dropout": ["model.dropout=0.1", "trainer.accumulate_grad_batches=2", "trainer.validate_every=0.5"],
    "lora": ["adapt=lora", "adapt.lora_dropout=0.1"],
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_packed_run_goes_on_from_its_checkpoints_as_itself(
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rows: Path,
    model: Path,
    variant: str,
) -> None:
    monkeypatch.setattr(checkpoints_module, "_KEEP", 1000)
    whole = begun(tmp_path / "whole", rows, model, *VARIANTS[variant])
    train_in(read_config(whole), whole)
    told = " ".join(capsys.readouterr().out.split())
    assert re.search(r"train conversations over 96 tokens: \d+ of \d+ \(split into \d+ rows\)", told)
    rows_, sequences = map(int, re.findall(r"batches: (\d+) training rows in (\d+) sequences", told)[0])
    assert rows_ > sequences, "some share a sequence"
    saved = step_checkpoints(whole.checkpoints)
    assert len(saved) >= 4
    for number, checkpoint in enumerate(random.sample(saved[:-1], 2 if variant == "lora" else 1)):
        run = at_checkpoint(tmp_path / f"resumed-{number}", whole, checkpoint)
        torch.manual_seed(random.randrange(10**6))
        train_in(read_config(run), run, resumed=True)
        assert equal(last_state(run), last_state(whole)), f"differs after {checkpoint.name}"
        assert weights(run) == weights(whole), f"differs after {checkpoint.name}"
        assert (run.logs / "metrics.csv").read_text() == (whole.logs / "metrics.csv").read_text()
        assert run.predictions.read_bytes() == whole.predictions.read_bytes()


def test_a_packed_run_that_is_killed_goes_on_as_itself(tmp_path: Path, cache: Path, rows: Path, model: Path) -> None:
    more = ["trainer.max_epochs=12", "trainer.checkpoint_every=5", "adapt=lora", "adapt.lora_dropout=0.1"]
    whole = begun(tmp_path / "whole", rows, model, *more)
    train_in(read_config(whole), whole)
    steps = json.loads(whole.record.read_text(encoding="utf-8"))["steps"]
    at = random.randrange(6, steps // 2)
    folder = tmp_path / "killed"
    process = start_process(["train", *given(folder, rows, model, *more)])
    signal_at(process, folder, at, signal.SIGKILL)
    wait_killed(process)
    assert newest_valid(folder / "checkpoints") is not None
    finish(start_process(resume(folder)))
    assert weights(RunFolder(folder)) == weights(whole), f"killed at {at} of {steps}"
    assert (folder / "predictions.csv").read_bytes() == whole.predictions.read_bytes()
    assert (folder / "model/adapter/adapter_model.safetensors").read_bytes() == (
        whole.bundle / "adapter/adapter_model.safetensors"
    ).read_bytes()


@pytest.fixture
def interrupted(tmp_path: Path, cache: Path, rows: Path, model: Path) -> tuple[RunFolder, Path]:
    """A run that stopped at its first checkpoint, and the file of its template."""
    template = tmp_path / "shop.jinja"
    shutil.copy(TEMPLATES["plain"], template)
    whole = begun(tmp_path / "whole", rows, model, f"model.chat_template={template}", "trainer.max_steps=2")
    train_in(read_config(whole), whole)
    return at_checkpoint(tmp_path / "stopped", whole, step_checkpoints(whole.checkpoints)[0]), template


def changed(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    assert "Assistant" not in text.replace('"Assistant:"', "")
    template.write_text(text.replace('":"', '" says:"').replace('"Assistant:"', '"Assistant says:"'), encoding="utf-8")


def test_another_chat_template_than_before_is_refused(interrupted: tuple[RunFolder, Path]) -> None:
    run, template = interrupted
    changed(template)
    before = run.record.read_bytes()
    with user_error("run.changed", where=str(run.record)) as caught:
        train_in(read_config(run), run, resumed=True)
    assert "cannot be resumed" in caught.value.what and "chat template" in caught.value.what
    assert "start a new run" in str(caught.value.fix)
    assert run.record.read_bytes() == before and not run.bundle.exists()


def test_a_record_of_before_encodings_were_kept_is_no_obstacle(interrupted: tuple[RunFolder, Path]) -> None:
    run, _ = interrupted
    record: dict[str, Any] = json.loads(run.record.read_text(encoding="utf-8"))
    assert len(record.pop("encoding")) == 64
    run.record.write_text(json.dumps(record), encoding="utf-8")
    train_in(read_config(run), run, resumed=True)
    assert "encoding" in json.loads(run.record.read_text(encoding="utf-8"))
