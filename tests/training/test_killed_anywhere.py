"""A run that is killed before any of its file operations, or at any moment, ends as if nothing had happened.

`benchmarks/kills.py` does the same hundreds of times, for every recipe and adaptation.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.conftest import write_reviews
from tests.kills import Killing

SMALL = ["data.label=label", "data.max_length=16", "data.batch_size=8", "model.dropout=0.1", "trainer=cpu"]
SMALL += ["trainer.threads=1", "trainer.max_epochs=2", "trainer.validate_every=0.5", "trainer.checkpoint_every=2"]
SMALL += ["evaluation.resamples=20", "logger=csv", "trainer.progress=false"]


@pytest.fixture(scope="module")
def killing(tmp_path_factory: pytest.TempPathFactory) -> Killing:
    folder = tmp_path_factory.mktemp("killed")
    rows = write_reviews(folder / "rows.csv", 60)
    return Killing(folder / "runs", ["recipe=review_sentiment", f"data.train={rows}", *SMALL])


@pytest.mark.parametrize("share", [0.0, None, None, None, 1.0])
def test_before_a_file_operation(killing: Killing, share: float | None) -> None:
    """The first, the last, and some between."""
    number = 1 + round((random.random() if share is None else share) * (killing.operations - 1))
    assert not killing.killed_at_operation(number), f"operation {number} of {killing.operations}"


def test_between_a_checkpoint_and_the_deletion_of_an_older_one(killing: Killing) -> None:
    """Where the best one was marked, once: a kill there ended in other weights."""
    numbers = killing.numbers_of("os.remove", "/step-")
    assert len(numbers) > 2
    for number in (numbers[0], numbers[-1]):
        assert not killing.killed_at_operation(number), f"operation {number} of {killing.operations}"


def test_at_a_moment(killing: Killing) -> None:
    seconds = random.uniform(0.3, 4)
    assert not killing.killed_at_moment(seconds), f"after {seconds:.3f} s"


def test_after_the_last_checkpoint_of_a_moving_average(tmp_path: Path) -> None:
    """No validation follows the last step, and no step is left: what resumes there must end in the average too."""
    rows = write_reviews(tmp_path / "rows.csv", 60)
    average = "trainer.callbacks=[{ema_weight_averaging:{decay:0.9}}]"
    given = [*SMALL, "trainer.max_steps=4", "trainer.validate_every=1", average, "evaluation.zero_shot=false"]
    killing = Killing(tmp_path / "runs", ["recipe=review_sentiment", f"data.train={rows}", *given])
    last = killing.numbers_of("os.rename", "step-00000004.ckpt")[-1]
    assert not killing.killed_at_operation(last + 1)
