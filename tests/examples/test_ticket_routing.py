"""An example plugin on texts: an own check, an own option, and a metric of torchmetrics that ranks."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import top_k_accuracy_score

from tests.conftest import Tunebook
from tests.examples.conftest import lines_of_python
from tunebook.testing import Workshop, check_recipe

Example = Callable[[str], Path]


def test_ticket_routing_keeps_the_contract_in_at_most_60_lines(example: Example, workshop: Workshop) -> None:
    assert lines_of_python(example("ticket_routing")) <= 60
    assert all(outcome.good for outcome in check_recipe("ticket_routing", workshop=workshop))


def test_top_three_is_what_scikit_learn_says_with_an_interval_and_differences(
    example: Example, tunebook: Tunebook, tmp_path: Path
) -> None:
    example("ticket_routing")
    done = tunebook("train", "recipe=ticket_routing", "trainer.max_epochs=4", "trainer=cpu", "run_dir=run")
    assert done.returncode == 0, done.stderr
    run = tmp_path / "work/run"
    with (run / "predictions.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    names = [name.removeprefix("probability_") for name in rows[0] if name.startswith("probability_")]
    probabilities = np.array([[float(row[f"probability_{name}"]) for name in names] for row in rows])
    truth = [names.index(row["truth"]) for row in rows]
    expected = top_k_accuracy_score(truth, probabilities, k=3, labels=range(len(names)))
    report = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    score = report["test"]["top_three"]
    assert score["value"] == pytest.approx(expected)
    assert score["low"] <= expected <= score["high"] and score["n"] == len(rows)
    assert all("top_three" in told for told in report["differences"].values())
