"""Which rung is recommended, and how seldom a ladder of equal systems shows a difference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tunebook.compare.statistics.comparison import compare_rungs
from tunebook.statistics.differences import paired_difference
from tunebook.statistics.outcomes import confusion_outcome


def test_two_equal_systems_on_40_rows_are_not_told_apart(simulated: Any, make_rung: Any) -> None:
    rng, shown = np.random.default_rng(0), 0
    for seed in range(100):
        one, other = simulated.ladder(simulated.Kind("accuracy", 40), rng, 2, 1)
        rungs = [make_rung("dear", one, 40, seconds=90.0), make_rung("cheap", other, 40)]
        found = compare_rungs(rungs, resamples=300, seed=seed)
        shown += found.pairs[0].shown
        assert found.recommended == ("cheap" if not found.pairs[0].shown else found.best)
    assert shown <= 10  # 5 expected at most, and 2.3 binomial deviations


@pytest.mark.parametrize("name", ["macro_f1", "perplexity", "fact_recall"])
def test_a_ladder_of_equal_systems_seldom_shows_any_difference(simulated: Any, make_rung: Any, name: str) -> None:
    """Of five systems at least one pair of ten would seem different on one ladder in four, were each tested alone."""
    rng, families, alone = np.random.default_rng(1), 0, 0
    kind = simulated.Kind(name, 120)
    for seed in range(60):
        systems = simulated.ladder(kind, rng, 5, 2)
        rungs = [make_rung(str(i), runs, 120, metric=name) for i, runs in enumerate(systems)]
        found = compare_rungs(rungs, resamples=300, seed=seed)
        families += any(pair.shown for pair in found.pairs)
        alone += any(pair.difference.distinguishable for pair in found.pairs)
    assert families <= 8  # 3 expected at most, and 3 binomial deviations
    assert alone > families


def test_a_comparison_is_that_of_two_reports(make_predictions: Any, make_rung: Any) -> None:
    one = make_predictions(n=200)
    other = replace(one, predicted=np.where(np.arange(200) % 5 == 0, (one.target + 1) % 3, one.predicted))
    rungs = [make_rung(n, [confusion_outcome(p, "accuracy")], 200) for n, p in (("one", one), ("other", other))]
    pair = compare_rungs(rungs).between("other", "one")
    known = paired_difference(one, other, "accuracy")
    assert pair.first == "one" and pair.shown and known.distinguishable
    assert pair.difference.value == pytest.approx(known.value)
    assert (pair.difference.low, pair.difference.high) == pytest.approx((known.low, known.high), abs=0.012)


def test_the_cheapest_rung_not_shown_to_be_worse_is_recommended(answers_right: Any, make_rung: Any) -> None:
    rungs = [
        make_rung("bad", [answers_right(0.4)], 300, seconds=1.0),
        make_rung("good", [answers_right(0.80, seed=1), answers_right(0.80, seed=2)], 300, seconds=20.0),
        make_rung("best", [answers_right(0.82, seed=3)], 300, seconds=100.0),
    ]
    found = compare_rungs(rungs, resamples=500)
    assert (found.best, found.recommended) == ("best", "good")
    assert found.shown_worse("bad", "good") and not found.shown_worse("good", "best")
    assert len(found.pairs) == 3 and found.pairs[0].seed_error >= 0
    with pytest.raises(KeyError):
        found.between("bad", "absent")


@pytest.mark.parametrize(
    ("less", "more", "matters"), [(2.3, 4.3, False), (0.1, 10.0, False), (40, 79, False), (9, 20, True)]
)
def test_a_worse_score_is_not_recommended_for_some_seconds(
    answers_right: Any, make_rung: Any, less: float, more: float, matters: bool
) -> None:
    rungs = [
        make_rung("good", [answers_right(0.80, seed=1)], 300, seconds=less),
        make_rung("best", [answers_right(0.83, seed=3)], 300, seconds=more),
    ]
    found = compare_rungs(rungs, resamples=300)
    assert found.best == "best" and not found.pairs[0].shown
    assert found.recommended == ("good" if matters else "best")


def test_the_smallest_detectable_difference_is_shown_four_times_in_five(simulated: Any, make_rung: Any) -> None:
    rng, n, shown = np.random.default_rng(4), 300, []
    for seed in range(100):
        shared = rng.random(n)
        gain = 0.0 if seed < 20 else float(np.median(shown[:20]))
        runs = [
            simulated.right_or_wrong(np.where(rng.random(n) < 0.5, shared, rng.random(n)) < share)
            for share in (0.7, 0.7 + gain)
        ]
        rungs = [make_rung(str(i), [run], n) for i, run in enumerate(runs)]
        pair = compare_rungs(rungs, resamples=400, seed=seed).pairs[0]
        shown.append(pair.smallest if seed < 20 else pair.shown)
    assert 0.67 <= np.mean(shown[20:]) <= 0.93  # 3 binomial deviations


def test_what_is_undefined_is_left_out_and_named(answers_right: Any, make_rung: Any) -> None:
    good = make_rung("good", [answers_right(0.8)], 300)
    none = replace(good, name="none", score=replace(good.score, value=float("nan")))
    found = compare_rungs([good, none])
    assert (found.best, found.left_out, found.pairs) == ("good", ("none",), ())
    with pytest.raises(ValueError, match="no rung"):
        compare_rungs([none])


def test_the_same_answers_leave_the_detectable_difference_open(answers_right: Any, make_rung: Any) -> None:
    run = answers_right(0.8)
    pair = compare_rungs([make_rung("a", [run], 300), make_rung("b", [run], 300)]).pairs[0]
    assert (pair.difference.value, pair.p_holm, pair.shown) == (0.0, 1.0, False)
    assert np.isnan(pair.smallest)
    few = compare_rungs([make_rung(n, [answers_right(0.8, n=3)], 3) for n in "ab"]).pairs[0]
    assert np.isnan(few.difference.low) and not few.shown
