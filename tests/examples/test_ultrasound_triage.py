"""An example plugin on images: a head whose loss and decision know what a mistake costs."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.conftest import Tunebook
from tests.examples.conftest import lines_of_python
from tunebook.testing import Workshop, check_recipe

Example = Callable[[str], Path]


def test_ultrasound_triage_keeps_the_contract_in_at_most_60_lines(example: Example, workshop: Workshop) -> None:
    assert lines_of_python(example("ultrasound_triage")) <= 60
    assert all(outcome.good for outcome in check_recipe("ultrasound_triage", workshop=workshop))


def test_another_cost_trains_other_weights_and_decides_otherwise(
    example: Example, tunebook: Tunebook, tmp_path: Path
) -> None:
    example("ultrasound_triage")
    for cost in (1, 1000):
        given = [f"recipe.miss_cost={cost}", "trainer.max_steps=2", "trainer=cpu", f"run_dir=cost{cost}"]
        done = tunebook("train", "recipe=ultrasound_triage", *given, "evaluation.resamples=50")
        assert done.returncode == 0, done.stderr
    cheap, dear = (load_file(tmp_path / f"work/cost{cost}/model/model.safetensors") for cost in (1, 1000))
    assert any(not torch.equal(cheap[name], dear[name]) for name in cheap)
    with (tmp_path / "work/cost1000/predictions.csv").open(newline="", encoding="utf-8") as stream:
        assert {row["prediction"] for row in csv.DictReader(stream)} == {"urgent"}
