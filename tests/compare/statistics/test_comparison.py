"""Rungs against each other: beside exact tests and closed forms, and on ladders whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from tunebook.compare.statistics.comparison import Comparison, compare_rungs, holm, smallest_detectable
from tunebook.compare.statistics.cost import cost_of_points
from tunebook.compare.statistics.results import Cost, RungResult
from tunebook.compare.statistics.rung_score import score_of_rung
from tunebook.compare.statistics.verdict import ladder_verdict
from tunebook.families.text_generation.metrics.perplexity import perplexity
from tunebook.statistics import confusion
from tunebook.statistics.outcomes import ConfusionOutcome, Outcome, sums_outcome
from tunebook.statistics.paired import observed
from tunebook.statistics.resampling import Units

Right = NDArray[np.bool_]


def right_or_wrong(right: Right) -> ConfusionOutcome:
    """A run of answers, all of whose truths are label 1, scored by accuracy."""
    return ConfusionOutcome(
        Units(2, np.ones(len(right), dtype=np.int64), (2 + right.astype(np.int64))[None]), confusion.accuracy
    )


def rung(name: str, runs: Sequence[Outcome], seconds: float, rows: int, metric: str = "accuracy") -> RungResult:
    higher = metric == "accuracy"
    score = score_of_rung(runs, metric, rows, higher_is_better=higher, resamples=500)
    cost = Cost(seconds, 100.0, None, 0, training_rows=int(10 * seconds))
    return RungResult(name, f"the {name}", score, tuple(observed([run]) for run in runs), cost, tuple(runs))


def ladder(rights: dict[str, list[Right]]) -> list[RungResult]:
    """Rungs of rising cost."""
    rows = len(next(iter(rights.values()))[0])
    return [
        rung(name, [right_or_wrong(run) for run in runs], 1.0 + i, rows)
        for i, (name, runs) in enumerate(rights.items())
    ]


def two(first: Right, second: Right) -> tuple[list[RungResult], Comparison]:
    rungs = ladder({"cheap": [first], "dear": [second]})
    return rungs, compare_rungs(rungs, resamples=4000)


def test_p_values_are_adjusted_as_by_hand() -> None:
    # 0.01 * 4; 0.02 * 3; max(0.06, 0.025 * 2); max(0.06, 0.04 * 1)
    assert holm([0.04, 0.01, 0.025, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    found = holm([float("nan"), 0.01])
    assert np.isnan(found[0]) and found[1] == pytest.approx(0.02), "what is undefined counts among the comparisons"


def test_the_smallest_detectable_difference_is_that_of_the_textbook() -> None:
    assert smallest_detectable(0.02, 1, 0.95) == pytest.approx((1.959964 + 0.841621) * 0.02, rel=1e-6)
    assert smallest_detectable(0.02, 6, 0.95) == pytest.approx(
        (stats.norm.isf(0.05 / 12) + stats.norm.ppf(0.8)) * 0.02, rel=1e-9
    )
    assert np.isnan(smallest_detectable(0.0, 1, 0.95))


@pytest.mark.parametrize("won, lost", [(9, 3), (20, 6), (14, 12)])
def test_the_randomisation_test_is_mcnemars_exact_test_on_shares(won: int, lost: int) -> None:
    first, second = np.zeros(120, dtype=bool), np.zeros(120, dtype=bool)
    first[: 60 + lost], second[:60] = True, True
    second[60 + lost : 60 + lost + won] = True
    _, found = two(first, second)
    exact = stats.binomtest(won, won + lost).pvalue
    assert found.pairs[0].difference.p_value == pytest.approx(exact, abs=0.025)
    assert found.pairs[0].difference.value == pytest.approx((won - lost) / 120)


def test_the_interval_of_a_difference_is_students_for_a_share() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random(400) < 0.7, rng.random(400) < 0.8
    _, found = two(first, second)
    each = second.astype(float) - first
    reach = stats.t.ppf(0.975, 399) * each.std(ddof=1) / np.sqrt(400)
    difference = found.between("dear", "cheap").difference
    assert difference.low == pytest.approx(each.mean() - reach, abs=0.004)
    assert difference.high == pytest.approx(each.mean() + reach, abs=0.004)


def test_two_equal_systems_on_forty_rows_are_not_distinguishable() -> None:
    rng = np.random.default_rng(1)
    cheap, dear = ([right_or_wrong(rng.random(40) < 0.75)] for _ in range(2))
    rungs = [rung("cheap", cheap, 20.0, 40), rung("dear", dear, 200.0, 40)]
    found = compare_rungs(rungs, resamples=4000)
    assert not found.pairs[0].shown and found.recommended == "cheap"
    said = " ".join(ladder_verdict(rungs, found))
    assert "on these 40 test rows" in said and "Of the cheapest rungs, the cheap" in said


def test_a_clear_lead_is_shown_and_shipped_and_what_it_cost_is_told() -> None:
    rng = np.random.default_rng(2)
    rungs, found = two(rng.random(500) < 0.6, rng.random(500) < 0.9)
    assert found.pairs[0].shown and found.best == found.recommended == "dear"
    assert found.shown_worse("cheap", "dear") and not found.shown_worse("dear", "cheap")
    gain = observed(rungs[1].outcomes) - observed(rungs[0].outcomes)
    (step,) = cost_of_points(rungs, found)
    assert step.seconds == pytest.approx(1.0 / (100 * gain)) and step.labels == pytest.approx(10 / (100 * gain))
    assert "Ship the dear" in ladder_verdict(rungs, found)[0]


def test_less_is_better_where_the_metric_says_so() -> None:
    rng, tokens = np.random.default_rng(3), np.full(200, 20)
    losses = rng.gamma(4, 10, 200)
    good, bad = (sums_outcome(perplexity(each, tokens)) for each in (losses, losses + 20))
    rungs = [rung("bad", [bad], 1.0, 200, "perplexity"), rung("good", [good], 2.0, 200, "perplexity")]
    found = compare_rungs(rungs, resamples=500)
    assert found.best == found.recommended == "good" and found.pairs[0].shown
    assert rungs[1].score.value == pytest.approx(np.exp(losses.sum() / tokens.sum()))


def test_seeds_are_averaged_over_the_same_rows_and_swapped_together() -> None:
    rng = np.random.default_rng(4)
    runs = [rng.random(300) < 0.7 for _ in range(3)]
    one = ladder({"three": runs})[0]
    mean = np.mean(runs, axis=0)
    assert one.score.value == pytest.approx(mean.mean())
    # rows are resampled with all seeds kept together, so the interval is that of the row means
    reach = stats.t.ppf(0.975, 299) * mean.std(ddof=1) / np.sqrt(300)
    assert (one.score.high - one.score.low) / 2 == pytest.approx(reach, rel=0.15)


def test_equal_ladders_rarely_show_a_difference_and_intervals_hold_the_truth() -> None:
    """A hundred ladders of four systems with two seeds each, all right for 70 % of all rows."""
    rng, shown, held = np.random.default_rng(5), 0, 0
    for seed in range(100):
        shared = rng.standard_normal(200)
        runs = {
            f"system_{i}": [
                stats.norm.cdf(np.sqrt(0.5) * shared + np.sqrt(0.5) * rng.standard_normal(200)) < 0.7 for _ in range(2)
            ]
            for i in range(4)
        }
        rungs = ladder(runs)
        shown += any(pair.shown for pair in compare_rungs(rungs, resamples=400, seed=seed).pairs)
        held += rungs[0].score.low <= 0.7 <= rungs[0].score.high
    assert shown <= 10, "of a hundred, five are expected at the most; more than ten once in eighty times"
    assert 88 <= held <= 100
