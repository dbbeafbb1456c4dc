"""Numbers, devices and damaged files that nothing can be done with are refused before anything is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Tunebook, write_reviews
from tests.user_error import user_error
from tunebook.config.evaluate import EvaluateConfig
from tunebook.config.ranges import check_ranges
from tunebook.models.source import STARTERS, ModelSource

SEVERAL = ["trainer=ddp", "trainer.accelerator=cpu"]
OUT_OF_RANGE = {
    "evaluation.confidence": 2,
    "evaluation.resamples": 0,
    "seed": -5,
}


@pytest.mark.parametrize("key", OUT_OF_RANGE)
def test_evaluate_checks_its_numbers(key: str) -> None:
    config = EvaluateConfig(bundle="run")
    check_ranges(config)
    node, _, name = key.rpartition(".")
    setattr(getattr(config, node) if node else config, name, OUT_OF_RANGE[key])
    with user_error("config.out-of-range", where=key):
        check_ranges(config)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (["trainer.threads=100000"], "trainer.threads must be from 1 to 1024"),
        (["data.num_workers=100000"], "data.num_workers must be from 0 to 512"),
        (
            ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=1000"],
            "trainer.devices=1000 processes would share",
        ),
        (
            ["trainer=ddp", "trainer.accelerator=cpu", "trainer.num_nodes=2"],
            "nothing starts a process on the other nodes",
        ),
        (["trainer.accelerator=gpu"], "There is no GPU"),
        (["trainer.accelerator=mps"], "There is no Apple GPU"),
        (["trainer=cpu", "trainer.precision=fp16"], "has no fp16 arithmetic"),
        (["trainer=fsdp", "trainer.accelerator=cpu"], "FSDP needs GPUs"),
    ],
)
def test_check_refuses_what_train_would(given: list[str], code: str, tunebook: Tunebook, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available() and "gpu" in " ".join(given):
        pytest.skip("there is a GPU here")
    rows = write_reviews(tmp_path / "rows.csv", 60)
    done = tunebook("check", "recipe=review_sentiment", f"data.train={rows}", "data.label=label", *given)
    assert done.returncode == 2 and "ready to train" not in done.stdout, done.stdout
    assert code in done.stderr and done.stderr.count("error: ") == 1 and "Traceback" not in done.stderr


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_config_of_a_model_is_one_message(content: bytes, tmp_path: Path) -> None:
    shutil.copytree(STARTERS / "starter_text", tmp_path / "model")
    (tmp_path / "model" / "config.json").write_bytes(content)
    with user_error("model.damaged-config", where=str(tmp_path / "model" / "config.json")):
        ModelSource("model", tmp_path / "model").settings  # noqa: B018
