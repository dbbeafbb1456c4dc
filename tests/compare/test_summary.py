"""What a rung is said to have taken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tunebook.compare.choice import FewShot, Way
from tunebook.compare.read_runs import Finished
from tunebook.compare.statistics.cost import PointCost
from tunebook.compare.statistics.results import Cost, RungResult
from tunebook.compare.summary import COLUMNS, added_in_words, cells, chosen_in_words
from tunebook.statistics.intervals import Score


@pytest.fixture
def rung() -> RungResult:
    score = Score("accuracy", 0.8, 0.75, 0.85, 300)
    return RungResult("full", "all weights tuned", score, (0.79, 0.81), Cost(150.0, 1234.4, 2_400_000, 3 << 20), ())


def told_of(rung: RungResult) -> dict[str, str]:
    """The cells of a rung by the names of their columns."""
    finished = Finished("accuracy", (rung,), (), {}, {}, {}, {}, "", {rung.name: True})
    return dict(zip(COLUMNS, cells(rung, finished), strict=True))


def test_a_rung_is_told_in_units_that_people_use(rung: RungResult) -> None:
    found = told_of(rung)
    assert found["score"] == "0.800 (0.750 to 0.850)" and found["seeds"] == "0.790 to 0.810 (2)"
    assert (found["time"], found["trained"], found["saved"]) == ("2.5 min", "2.4 M", "3.0 MiB")
    assert found["memory"] == "1\N{NARROW NO-BREAK SPACE}234 MiB"


def test_memory_of_a_gpu_stands_beside_the_process_s_own(rung: RungResult) -> None:
    on_device = replace(rung, cost=replace(rung.cost, peak_memory=900.0, device_memory=512.0))
    assert told_of(on_device)["memory"] == "900 MiB, GPU 512 MiB"


@pytest.mark.parametrize(
    ("labels", "words"),
    [(8.0, "30 s and 8 rows a point"), (-8.0, "30 s and 8 rows less a point"), (0.0, "30 s a point")],
)
def test_a_point_took_time_and_perhaps_rows(labels: float, words: str) -> None:
    added = PointCost("full", "few_shot_16", 2.5, 30.0, labels, None)
    assert added_in_words(added) == words


@pytest.mark.parametrize(
    ("held_out", "chosen", "words"),
    [
        ((0.5, 0.6), (2, 1), "few_shot_9: cross-validation on its rows chose head in 2 of 3, contrastive in 1 of 3"),
        ((0.5, 0.6), (0, 1), "few_shot_9: cross-validation on its rows chose contrastive"),
        ((None, None), (0, 2), "few_shot_9: contrastive, as its rows are too few for cross-validation to choose by"),
    ],
)
def test_how_a_way_was_chosen(
    rung: RungResult, held_out: tuple[float | None, ...], chosen: tuple[int, int], words: str
) -> None:
    ways = [
        Way(replace(rung, name=f"few_shot_9_{name}"), held_out, times, 1.0)
        for name, times in zip(("head", "contrastive"), chosen, strict=True)
    ]
    assert chosen_in_words(FewShot("few_shot_9", tuple(ways))) == words
