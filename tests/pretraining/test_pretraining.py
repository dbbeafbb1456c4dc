"""The recipes that the starters were made with: run as a stranger's plugin is, killed, and gone on with."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.conftest import THINGS, Tunebook
from tests.forked import start_forked

ROOT = Path(__file__).parents[2]


@pytest.fixture
def plugin(tmp_path: Path) -> dict[str, str]:
    """The environment in which the plugin is installed."""
    info = tmp_path / "site" / "tunebook_pretraining-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tunebook-pretraining\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(
        "[tunebook.recipes]\n"
        "pretrain_text = tunebook_pretraining.text.recipe:PretrainText\n"
        "pretrain_image = tunebook_pretraining.image.recipe:PretrainImage\n"
        "[tunebook.families]\n"
        "text_pretraining = tunebook_pretraining.text.family:FAMILY\n"
        "image_pretraining = tunebook_pretraining.image.family:FAMILY\n"
    )
    return {"PYTHONPATH": f"{info.parent}{os.pathsep}{ROOT / 'pretraining'}"}


def texts(path: Path, rows: int, seed: int) -> Path:
    """Sentences that go on and on about things."""
    draw = np.random.default_rng(seed)
    lines = [
        " ".join(f"The {draw.choice(THINGS)} is number {draw.integers(99)}." for _ in range(9)) for _ in range(rows)
    ]
    path.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines), encoding="utf-8")
    return path


def text_arguments(folder: Path) -> list[str]:
    files = {
        s: texts(folder / f"{s}.jsonl", n, i)
        for i, (s, n) in enumerate({"train": 90, "validation": 12, "test": 12}.items())
    }
    return [
        "recipe=pretrain_text",
        *(f"data.{split}={file}" for split, file in files.items()),
        "recipe.block=64",
        "trainer=cpu",
        "trainer.threads=1",
        "trainer.checkpoint_every=5",
        "logger=csv",
        "evaluation.resamples=50",
    ]


def test_text_is_learnt_and_written_as_a_plain_model(tmp_path: Path, tunebook: Tunebook, plugin: dict[str, str]):
    done = tunebook("train", *text_arguments(tmp_path), f"run_dir={tmp_path / 'run'}", env=plugin)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    loss = metrics["test"]["loss"]
    assert loss["low"] < loss["value"] < loss["high"] and loss["value"] < 6  # a guess costs log 4096 = 8.3
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "model")
    assert model.dtype == torch.float16
    # The score again, by transformers' own loss over the same blocks of one stream.
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "run" / "model")
    stream = []
    for line in (tmp_path / "test.jsonl").read_text(encoding="utf-8").splitlines():
        stream += tokenizer(json.loads(line)["text"])["input_ids"]
    blocks = [stream[i * 64 : i * 64 + 65] for i in range((len(stream) - 1) // 64)]
    with torch.no_grad():
        ids = torch.tensor(blocks)
        own = model.float()(input_ids=ids, labels=ids).loss
    assert len(blocks) == loss["n"] and float(own) == pytest.approx(loss["value"], abs=0.01)


def test_a_killed_pre_training_goes_on_to_the_same_weights(tmp_path: Path, tunebook: Tunebook, plugin: dict[str, str]):
    arguments = text_arguments(tmp_path)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert tunebook("train", *arguments, f"run_dir={whole}", env=plugin).returncode == 0
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **plugin}
    process = start_forked(["train", *arguments, f"run_dir={cut}"], environment, tmp_path)
    deadline = time.monotonic() + 120
    while not list(cut.glob("checkpoints/step-*.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL and not (cut / "model").exists()
    resumed = tunebook("train", f"resume={cut}", env=plugin)
    assert resumed.returncode == 0, resumed.stderr
    assert (cut / "model" / "model.safetensors").read_bytes() == (whole / "model" / "model.safetensors").read_bytes()
    assert (cut / "metrics.json").read_bytes() == (whole / "metrics.json").read_bytes()


def test_the_image_starter_goes_on_learning_and_is_written_as_timm_opens_it(
    tmp_path: Path, tunebook: Tunebook, plugin: dict[str, str]
):
    timm = pytest.importorskip("timm")
    kinds = {"contour 1": "contour", "texture 5": "texture"}
    for split, numbers in {"train": range(40), "validation": range(40, 46), "test": range(50, 60)}.items():
        lines = ["picture,label", *(f"{kind} {n},{label}" for kind, label in kinds.items() for n in numbers)]
        (tmp_path / f"{split}.csv").write_text("\n".join(lines) + "\n")
    done = tunebook(
        "train",
        "recipe=pretrain_image",
        *(f"data.{split}={tmp_path / split}.csv" for split in ("train", "validation", "test")),
        *(
            "adapt=full",
            "optim.lr=1e-3",
            "data.batch_size=16",
            "trainer.max_epochs=4",
            "trainer=cpu",
            "logger=csv",
            f"run_dir={tmp_path / 'run'}",
        ),
        env=plugin,
    )
    assert done.returncode == 0, done.stderr
    accuracy = json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]["accuracy"]
    assert accuracy["n"] == 20 and accuracy["value"] >= 0.9
    model = timm.create_model(f"local-dir:{tmp_path / 'run' / 'model'}", pretrained=True, num_classes=0).eval()
    with torch.no_grad():
        assert model(torch.zeros(1, 3, 64, 64)).shape == (1, model.num_features)


def test_what_is_no_formula_is_refused(tmp_path: Path, tunebook: Tunebook, plugin: dict[str, str]):
    (tmp_path / "rows.csv").write_text("picture,label\nfractal 1 2,a\ncircle 1 2,b\nfractal 1,a\n")
    done = tunebook("check", "recipe=pretrain_image", f"data.train={tmp_path / 'rows.csv'}", env=plugin)
    assert done.returncode == 2 and 'is not a formula: "circle 1 2"' in done.stderr


def test_a_picture_is_a_function_of_its_formula(plugin: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "pretraining"))
    from tunebook_pretraining.image.formulas import FAMILIES, picture

    for family in FAMILIES:
        first = picture(family, 3, 7, 48)
        assert first.shape == (48, 48, 3) and first.dtype == np.uint8 and first.std() > 5
        assert np.array_equal(first, picture(family, 3, 7, 48))
        assert not np.array_equal(first, picture(family, 3, 8, 48))


@pytest.mark.parametrize(
    ("override", "told"),
    [("recipe.block=0", "recipe.block=0 does not fit"), ("recipe.block=1025", "takes 8 to 1024 tokens")],
)
def test_a_block_that_no_model_takes_is_refused(override: str, told: str, tmp_path: Path, tunebook: Tunebook, plugin):
    rows = texts(tmp_path / "rows.jsonl", 40, 0)
    done = tunebook("check", "recipe=pretrain_text", f"data.train={rows}", override, env=plugin)
    assert done.returncode == 2 and told in done.stderr
