from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunebook.compare.statistics.results import Cost, RungResult
from tunebook.compare.statistics.rung_score import score_of_rung
from tunebook.statistics.outcomes import Outcome
from tunebook.statistics.paired import observed

LOWER = ("perplexity", "mean_absolute_error")


@pytest.fixture(scope="session")
def simulated() -> Any:
    """The rungs of known value on which the benchmark of the statistics runs."""
    path = Path(__file__).parents[3] / "benchmarks/simulated_rungs.py"
    spec = importlib.util.spec_from_file_location("simulated_rungs", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def make_rung() -> Callable[..., RungResult]:
    """Make a rung from what its runs answered."""

    def make(
        name: str,
        outcomes: Sequence[Outcome],
        n: int,
        metric: str = "accuracy",
        seconds: float = 1.0,
        training_rows: int | None = None,
    ) -> RungResult:
        score = score_of_rung(outcomes, metric, n, higher_is_better=metric not in LOWER, resamples=400)
        by_seed = tuple(observed([run]) for run in outcomes)
        cost = Cost(seconds, 100.0, None, 1000, training_rows=training_rows)
        return RungResult(name, f"the {name} rung", score, by_seed, cost, tuple(outcomes))

    return make


@pytest.fixture
def answers_right(simulated: Any) -> Callable[..., Any]:
    """Make a run that is right on this share of rows, the first ones but for a few drawn by the seed."""

    def make(share: float, n: int = 300, seed: int = 0, loose: float = 0.1) -> Any:
        rng = np.random.default_rng(seed)
        places = (np.arange(n) + 0.5) / n + loose * rng.uniform(-1, 1, n)
        return simulated.right_or_wrong(places < share)

    return make
