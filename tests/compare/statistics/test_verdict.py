from __future__ import annotations

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest

from tunebook.compare.statistics.comparison import compare_rungs
from tunebook.compare.statistics.cost import cost_of_points
from tunebook.compare.statistics.figures import label_curve, ladder_figure, quality_against_cost
from tunebook.compare.statistics.label_budget import label_budget
from tunebook.compare.statistics.verdict import ladder_verdict
from tunebook.statistics.intervals import Score


@pytest.fixture
def rungs(answers_right: Any, make_rung: Any) -> list[Any]:
    return [
        make_rung("majority", [answers_right(0.45)], 300, seconds=0.1, training_rows=800),
        make_rung("classical", [answers_right(0.60, seed=5)], 300, seconds=2.0, training_rows=800),
        make_rung("lora", [answers_right(0.80, seed=s) for s in range(3)], 300, seconds=50.0, training_rows=800),
        make_rung("full", [answers_right(0.81, seed=s) for s in (3, 4, 6)], 300, seconds=400.0, training_rows=800),
        make_rung("scratch", [answers_right(0.79, seed=7)], 300, seconds=500.0, training_rows=800),
    ]


def test_a_cheaper_rung_is_recommended_with_what_cannot_be_shown(rungs: list[Any]) -> None:
    comparison = compare_rungs(rungs, resamples=500)
    assert (comparison.best, comparison.recommended) == ("full", "lora")
    words = ladder_verdict(rungs, comparison)
    pair = comparison.between("full", "lora")
    assert words[0].startswith("Ship the lora rung: accuracy 0.")
    assert "95 % CI" in words[0] and "n = 300" in words[0]
    assert "not significantly worse" in words[1] and "This does not mean that they are equal" in words[1]
    assert f"below {pair.smallest:.3f} would often be missed" in words[1]
    text = " ".join(words)
    sizes = [comparison.between("lora", name).smallest for name in ("scratch",)]
    more = rungs[4].score.value - rungs[2].score.value
    assert f"from the lora rung on these 300 test rows: the scratch rung ({more:.3f}, 8.3 min a run)." in text
    assert f"A true difference below {sizes[0]:.3f} would often be missed." in text
    assert "1 other pair of rungs does not differ significantly." in text
    shown = comparison.between("lora", "majority").difference
    assert "The lora rung is significantly better than the classical rung (+" in text
    assert f"the majority rung (+{shown.value:.3f}, +{shown.low:.3f} to +{shown.high:.3f})." in text
    assert "Standard deviation over seeds or draws: " in text and ", 3 runs)" in text
    assert "All 10 pairs of 5 rungs were compared with Holm's correction" in text


def test_a_model_that_has_forgotten_is_not_shipped(rungs: list[Any]) -> None:
    comparison = compare_rungs(rungs, resamples=500)
    lora = next(rung for rung in rungs if rung.name == comparison.recommended)
    unfit = [replace(rung, unfit="it has forgotten: much") if rung is lora else rung for rung in rungs]
    words = ladder_verdict(unfit, comparison)
    assert words[0].startswith("Do not ship the lora rung yet, although it is the first by its scores: accuracy 0.")
    assert any(sentence.startswith("It has forgotten: much. Tune it more gently") for sentence in words)
    alike = [replace(rung, outcomes=lora.outcomes, score=lora.score) for rung in unfit[2:3] * 2]
    pair = [replace(alike[0], name="one"), replace(alike[1], name="other")]
    text = " ".join(ladder_verdict(pair, compare_rungs(pair, resamples=200)))
    assert "do not decide which to ship" in text and "It has forgotten: much." in text


def test_a_clear_winner_is_shipped_without_hedging(answers_right: Any, make_rung: Any) -> None:
    rungs = [
        make_rung("majority", [answers_right(0.4)], 300, seconds=0.1),
        make_rung("full", [answers_right(0.9, seed=1)], 300, seconds=400.0),
    ]
    words = ladder_verdict(rungs, compare_rungs(rungs, resamples=500))
    assert len(words) == 2 and words[1].startswith("The full rung is significantly better than the majority rung (+0.")
    assert words[0].endswith("6.7 min a run. It scores best, and every cheaper rung is significantly worse.")


def test_few_rows_show_nothing_and_the_verdict_says_so(answers_right: Any, make_rung: Any) -> None:
    rungs = [
        make_rung("cheap", [answers_right(0.6, n=40, seed=1, loose=0.5)], 40, seconds=1.0),
        make_rung("dear", [answers_right(0.65, n=40, seed=2, loose=0.5)], 40, seconds=9.0),
    ]
    text = " ".join(ladder_verdict(rungs, compare_rungs(rungs, resamples=500)))
    assert text.startswith(
        "No significant difference between the two rungs on these 40 test rows, so they do not decide which to ship."
    )
    assert "Of the cheapest rungs" in text and "Ship" not in text


def test_seeds_that_could_turn_a_difference_are_told(answers_right: Any, make_rung: Any) -> None:
    rungs = [
        make_rung("one", [answers_right(s, loose=0.01) for s in (0.5, 0.9)], 300),
        make_rung("other", [answers_right(s, loose=0.01) for s in (0.4, 0.7)], 300),
    ]
    comparison = compare_rungs(rungs, resamples=500)
    assert comparison.pairs[0].shown and comparison.pairs[0].seed_error == pytest.approx(0.25, abs=0.01)
    text = " ".join(ladder_verdict(rungs, comparison))
    assert "other seeds may reverse it: the one rung over the other rung" in text


def test_a_point_costs_what_a_rung_takes_more_than_the_one_before(rungs: list[Any]) -> None:
    comparison = compare_rungs(rungs, resamples=500)
    first, second, third, last = cost_of_points(rungs, comparison)
    gain = 100 * (rungs[2].score.value - rungs[1].score.value)
    assert (second.rung, second.before) == ("lora", "classical")
    assert second.points == pytest.approx(gain)
    assert second.seconds == pytest.approx(48 / gain) and second.labels == 0
    assert first.seconds == pytest.approx(1.9 / first.points)
    assert third.seconds is None and third.reason == "no significant difference"
    assert last.points < 0 and last.seconds is None
    assert cost_of_points(rungs[:1]) == []


def test_the_figures_are_whole_and_name_every_rung(rungs: list[Any]) -> None:
    comparison = compare_rungs(rungs, resamples=500)
    ladder = ladder_figure(rungs, comparison)
    for figure in (ladder, quality_against_cost(rungs, comparison)):
        ElementTree.fromstring(figure)
        for rung in rungs:
            assert rung.title in figure
        assert "recommended" in figure and "significantly worse" in figure
    assert "one seed or draw" in ladder
    rows, scores = (
        [100, 250, 500, 1000],
        [[0.70, 0.71, 0.69], [0.773, 0.77, 0.78], [0.81, 0.808, 0.813], [0.837, 0.835]],
    )
    score = Score("accuracy", 0.836, 0.81, 0.86, 900)
    budget = label_budget(rows, scores, score=score, point=0.01, higher_is_better=True)
    curve = label_curve(budget)
    ElementTree.fromstring(curve)
    assert "labelled training rows" in curve and "another point" in curve
    bare = label_budget(rows[:2], scores[:2], score=score, point=0.01, higher_is_better=True)
    ElementTree.fromstring(label_curve(bare))
