"""The score of a rung from its finished runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.user_error import user_error
from tunebook.compare.candidates import Candidate, Candidates
from tunebook.compare.plan import PlannedRun
from tunebook.compare.run_state import RungRun
from tunebook.compare.rung_results import rung_result
from tunebook.compare.step import Step
from tunebook.config.compare import Rung
from tunebook.statistics.outcomes import sums_outcome
from tunebook.statistics.sums import RowSums

NOTHING: Any = None  # of the models only their number counts here
SETTINGS = {"confidence": 0.95, "resamples": 20, "seed": 0}
SUMS = np.array([[1.0, 2.0], [2.0, 2.0], [0.0, 2.0], [1.0, 2.0], [2.0, 2.0]])


@pytest.fixture
def run(tmp_path: Path) -> RungRun:
    """A finished run that says that it was scored on five rows, 0.6 of them."""
    found = RungRun.of(PlannedRun("full · a", 0, "train", ".", "key", {"adapt": {"method": "full"}}), tmp_path)
    score = {"value": 0.6, "n": 5, "higher_is_better": True}
    found.run.metrics.write_text(json.dumps({"test": {"overlap": score}}), encoding="utf-8")
    record = {"rows": {"test": "0"}, "row_counts": {"train": 9}}
    found.run.record.write_text(json.dumps(record), encoding="utf-8")
    found.cost_file.write_text(json.dumps([{"seconds": 1.0, "finished": True}]), encoding="utf-8")
    return found


def result(run: RungRun, rows: int, *labels: str) -> Any:
    step = Step("full · a", "all weights tuned · a", Rung.full, NOTHING, 1, model=labels[0])
    every = tuple(Candidate(label, NOTHING, NOTHING) for label in labels)
    outcome = sums_outcome(RowSums("overlap", SUMS[:rows], share=True))
    return rung_result(step, [run], (outcome,), Candidates(every, "overlap", NOTHING), SETTINGS)


def test_a_run_whose_answers_are_gone_is_named(run: RungRun) -> None:
    assert result(run, 5, "").score.n == 5
    with user_error("compare.damaged-folder", where=str(run.run.predictions)):
        result(run, 4, "")


def test_one_of_several_models_is_scored_on_the_rows_of_all(run: RungRun) -> None:
    found = result(run, 4, "a", "b")
    assert (found.score.n, found.score.value, found.by_seed) == (4, 0.5, (0.5,)) and found.model == "a"
    assert result(run, 5, "a", "b").by_seed == (pytest.approx(0.6),)
