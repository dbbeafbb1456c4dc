"""A run that is interrupted anywhere and goes on ends in the same weights, bit for bit."""

from __future__ import annotations

import atexit
import hashlib
import random
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

import pytest
import torch

from tests.conftest import write_reviews
from tests.data.test_augmentations import DROPOUT
from tests.finished import finished
from tests.training.composing import composed
from tests.training.offered import offer
from tests.training.test_callbacks import COOLING
from tests.user_error import user_error
from tunebook.cli.run_training import train_in
from tunebook.models.source import STARTERS
from tunebook.pipeline.stored import read_config
from tunebook.run_folder import RunFolder, save_config
from tunebook.training import checkpoints as checkpoints_module
from tunebook.training.checkpoints import read_checkpoint, step_checkpoints

TINY = [
    "recipe=review_sentiment",
    "data.label=label",
    "data.batch_size=4",
    "data.max_length=16",
    "trainer=cpu",
    "trainer.threads=1",
    "trainer.max_epochs=2",
    "trainer.progress=false",
    "trainer.rehearse=false",
    "trainer.checkpoint_every=1",
    "model.dropout=0.1",
    "evaluation.resamples=10",
    "evaluation.zero_shot=false",
    "logger=csv",
]


@lru_cache(maxsize=1)
def tiny_model() -> Path:
    """A language model of 0.2 M weights: a run writes a checkpoint a step, and each holds all weights three times."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    folder = Path(tempfile.mkdtemp(prefix="tunebook-tiny-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    tokenizer = AutoTokenizer.from_pretrained(STARTERS / "starter_text")
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=128,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def start(folder: Path, rows: Path, overrides: list[str]) -> RunFolder:
    run = RunFolder(folder)
    folder.mkdir()
    config = composed([*TINY, f"model.name={tiny_model()}", f"data.train={rows}", f"run_dir={folder}", *overrides])
    save_config(config, run)
    return run


def weights(run: RunFolder) -> str:
    return hashlib.sha256((run.bundle / "model.safetensors").read_bytes()).hexdigest()


def last_state(run: RunFolder) -> dict:
    """Model, optimizer and schedule of the last checkpoint."""
    state = read_checkpoint(step_checkpoints(run.checkpoints)[-1])
    return {k: state[k] for k in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "epoch")}


def equal(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


VARIANTS = {
    "plain": [],
    "accumulation": ["trainer.accumulate_grad_batches=3"],
    "validation within epochs": ["trainer.validate_every=0.4"],
    "accumulation, validation within epochs": [
        "trainer.accumulate_grad_batches=2",
        "trainer.validate_every=0.5",
    ],
    "lora": ["adapt=lora", "adapt.lora_dropout=0.1"],
    "frozen head": ["adapt=head", "trainer.max_epochs=3"],
    "early stop": ["trainer.early_stop=1", "trainer.max_epochs=6", "optim.lr=1e-6"],
    "workers": ["data.num_workers=2"],
    "max steps": ["trainer.max_steps=17"],
    "sgd": ["optim.name=sgd", "optim.nesterov=true", "optim.schedule=cosine_restarts"],
    "adafactor": ["optim.name=adafactor", "optim.schedule=wsd", "adapt.unfreeze_epochs=1"],
    "moving average": ["trainer.callbacks=[learning_rate_monitor,{ema_weight_averaging:{decay:0.9}}]"],
    "callback of a package": ["trainer.callbacks=[{cooling:{factor:0.8}}]"],
    "augmentation of a package": ["data.augmentations=[{word_dropout:{share:0.3}}]"],
    "muon": ["optim.name=muon", "optim.schedule=one_cycle"],
    "pairs": ["adapt=contrastive", "optim.lr=1e-3"],
    "softmax to ordinal": ["recipe.head=ordinal", "data.labels=[bad,good]"],
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_resume_from_a_checkpoint_gives_the_same_run(tmp_path, cache, monkeypatch, variant):
    monkeypatch.setattr(checkpoints_module, "_KEEP", 1000)
    offer(tmp_path, monkeypatch, "cooling_parts", COOLING, callbacks={"cooling": "Cooling"})
    offer(tmp_path, monkeypatch, "dropout_parts", DROPOUT, augmentations={"word_dropout": "word_dropout"})
    rows = write_reviews(tmp_path / "reviews.csv", 50)
    whole = start(tmp_path / "whole", rows, VARIANTS[variant])
    train_in(read_config(whole), whole)
    saved = step_checkpoints(whole.checkpoints)
    expected, log = last_state(whole), (whole.logs / "metrics.csv").read_text()
    assert len(saved) >= 4
    # Of one variant around the end of an epoch too, and more steps between.
    half, draw = len(saved) // 2, random.Random(variant)
    between = draw.sample(saved[1:-1], 1) if variant != "plain" else [*saved[half - 2 : half + 2], saved[1], saved[-2]]
    saved = [saved[0], *between, saved[-1]]
    for i, checkpoint in enumerate(saved):
        run = RunFolder(tmp_path / f"resumed-{i}")
        run.checkpoints.mkdir(parents=True)
        shutil.copy(whole.config, run.config)
        shutil.copy(checkpoint, run.checkpoints)
        step = int(checkpoint.stem.removeprefix("step-"))
        best = read_checkpoint(checkpoint)["callbacks"]["Checkpoints"]["best_step"]
        if best and best <= step:
            shutil.copy(whole.checkpoints / f"step-{best:08d}.ckpt", run.checkpoints)
        shutil.copytree(whole.logs, run.logs)  # rows that were logged after the checkpoint must not stay
        torch.manual_seed(random.randrange(10**6))
        train_in(read_config(run), run, resumed=True)
        assert equal(last_state(run), expected), f"differs after {checkpoint.name}"
        assert weights(run) == weights(whole), f"differs after {checkpoint.name}"
        assert (run.logs / "metrics.csv").read_text() == log, f"log differs after {checkpoint.name}"
        assert run.predictions.read_bytes() == whole.predictions.read_bytes()


def test_a_config_that_was_changed_is_another_run(tmp_path, cache):
    rows = write_reviews(tmp_path / "reviews.csv", 50)
    run = start(tmp_path / "run", rows, ["trainer.max_steps=4"])
    train_in(read_config(run), run)
    shutil.rmtree(run.bundle)
    text = run.config.read_text()
    run.config.write_text(text.replace("max_steps: 4", "max_steps: 6"))
    with user_error("run.changed", match="trainer.max_steps") as caught:
        train_in(read_config(run), run, resumed=True)
    assert "trainer.max_steps=4 was there before" in str(caught.value.fix)
    run.config.write_text(text.replace("progress: false", "progress: true"))  # shapes nothing
    train_in(read_config(run), run, resumed=True)


def test_a_damaged_checkpoint_is_named_and_the_one_before_taken(tmp_path, cache, capsys):
    rows = write_reviews(tmp_path / "reviews.csv", 50)
    run = start(tmp_path / "run", rows, ["trainer.max_steps=6"])
    train_in(read_config(run), run)
    expected = weights(run)
    shutil.rmtree(run.bundle)
    newest = step_checkpoints(run.checkpoints)[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    capsys.readouterr()
    train_in(read_config(run), run, resumed=True)
    said = capsys.readouterr().out.replace("\n", "")
    assert f"{newest} is damaged" in said and "resuming from step 5" in said
    assert weights(run) == expected


def test_a_damaged_model_is_written_again_from_the_checkpoints(tmp_path, tunebook):
    run = finished(tmp_path)
    weights = run.bundle / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    refused = tunebook("predict", str(run.path), input="all well\n")
    assert refused.returncode == 2
    assert "resume" in tunebook("train", f"resume={run.path}").stderr
    shutil.rmtree(run.bundle)  # as both messages say
    run.report.unlink()
    done = tunebook("train", f"resume={run.path}")
    assert done.returncode == 0, done.stderr
    assert weights.read_bytes() == whole
