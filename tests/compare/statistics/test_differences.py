"""Differences of rungs near the ends of a metric and on few rows of one class, where spreads are lopsided."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from tunebook.compare.statistics.comparison import Comparison, compare_rungs
from tunebook.compare.statistics.results import Cost, RungResult
from tunebook.compare.statistics.rung_score import score_of_rung
from tunebook.compare.statistics.verdict import ladder_verdict
from tunebook.statistics.intervals import wilson
from tunebook.statistics.outcomes import Outcome
from tunebook.statistics.paired import observed


def compared(runs: list[Any], metric: str, seed: int = 0, resamples: int = 400) -> tuple[list[RungResult], Comparison]:
    rungs = []
    for number, run in enumerate(runs):
        score = score_of_rung([run], metric, run.units, higher_is_better=True, resamples=resamples, seed=seed)
        cost = Cost(1.0 + number, 1.0, None, 0, training_rows=100)
        rungs.append(RungResult(f"rung_{number}", f"rung {number}", score, (observed([run]),), cost, (run,)))
    return rungs, compare_rungs(rungs, resamples=resamples, seed=seed)


def held(runs: list[Outcome], metric: str, true: float, seed: int) -> bool:
    """Whether the interval of the first minus the second holds the truth."""
    _, found = compared(runs, metric, seed)
    pair = found.pairs[0]
    sign = 1 if pair.first == "rung_0" else -1
    return pair.difference.low <= sign * true <= pair.difference.high


def test_the_difference_of_two_good_rankings_of_few_positives_is_covered(simulated: Any) -> None:
    """AUROC 0.970 against 0.899, ten positives of 210: 13 % of 400 symmetrical intervals miss, and 5 % should."""
    shifts = [np.sqrt(2) * stats.norm.ppf(value) for value in (0.97, 0.899)]
    rng = np.random.default_rng(1)
    found = [held(simulated.two_rankings("auroc", rng, 10, 210, shifts), "auroc", 0.071, seed) for seed in range(250)]
    assert np.mean(found) >= 0.91


def test_the_difference_of_two_nearly_perfect_shares_is_covered(simulated: Any) -> None:
    """0.99 against 0.95 of 40 rows: 16 % of symmetrical intervals miss."""
    rng = np.random.default_rng(1)
    found = [held(simulated.two_rights(rng, 40, (0.99, 0.95)), "accuracy", 0.04, seed) for seed in range(250)]
    assert np.mean(found) >= 0.91


def test_a_difference_at_an_end_is_bounded_by_both_intervals_as_by_hand(simulated: Any) -> None:
    """All of 40 right against 36: the first never varies, so nothing is correlated (Zou & Donner, 2008, equation 2)."""
    first, second = (simulated.right_or_wrong(np.arange(40) < right) for right in (40, 36))
    rungs, found = compared([first, second], "accuracy", resamples=4000)
    low_of_first = wilson(40, 40)[0]
    low, high = rungs[1].score.low, rungs[1].score.high
    difference = found.pairs[0].difference
    assert difference.low == pytest.approx(0.1 - np.hypot(1 - low_of_first, high - 0.9))
    assert difference.high == pytest.approx(0.1 + np.hypot(0, 0.9 - low))


@pytest.mark.parametrize(("positives", "told"), [(3, False), (4, True), (97, False), (96, True)])
def test_a_ranking_of_three_rows_of_one_class_says_nothing(positives: int, told: bool, simulated: Any) -> None:
    """Neither an interval nor a difference, however clear, and the verdict ships nothing for it."""
    target = (np.arange(100) < positives).astype(np.int64)
    noise = np.random.default_rng(3).standard_normal(100)
    good, bad = (simulated._ranking("auroc", target, noise + shift * target) for shift in (4.0, 0.0))
    rungs, found = compared([good, bad], "auroc")
    assert np.isfinite(rungs[0].score.low) == told and np.isfinite(found.pairs[0].difference.low) == told
    said = " ".join(ladder_verdict(rungs, found))
    if not told:
        assert rungs[0].score.reason == "too few rows of the rarer class for an interval"
        assert not found.pairs[0].shown and "do not decide which to ship" in said
