"""Plain counts by hand, intervals of every measure, and how often they hold the truth."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tunebook.cli.output import print_scores
from tunebook.families.text_generation.contract import TAKEN
from tunebook.families.text_generation.metrics.answers import GeneratedAnswers
from tunebook.families.text_generation.metrics.distinct import distinct, score_distinct
from tunebook.families.text_generation.metrics.grounding import GROUNDING_MEASURES
from tunebook.families.text_generation.metrics.measures import measures, score_answers, signatures
from tunebook.families.text_generation.metrics.overlap import bleu, rouge
from tunebook.families.text_generation.metrics.plain import empty, exact_match, fact_recall, length_ratio, repetition
from tunebook.families.text_generation.metrics.scripts import words
from tunebook.families.text_generation.metrics.tool_calls import TOOL_MEASURES
from tunebook.statistics.intervals import bootstrap_rows, wilson
from tunebook.statistics.sums import RowSums, score

Make = Callable[..., GeneratedAnswers]


def test_plain_counts_by_hand(plain_answers: Make) -> None:
    outputs = ["It is £42, sir.", " Yes! ", "", "go on and on and on and on"]
    references = [["It costs £42."], ["Yes!", "Oh yes indeed"], ["No."], ["stop", "do stop it now"]]
    facts = [["£42", "sir", "£4"], [], ["no"], ["and on"]]
    answers = plain_answers(outputs, references, facts=facts)
    assert fact_recall(answers).value() == 3 / 5
    assert exact_match(answers).value() == 1 / 4
    assert empty(answers).value() == 1 / 4
    assert length_ratio(answers).value() == (4 + 1 + 0 + 8) / (3 + 2 + 1 + 2.5)
    assert repetition(answers).value() == 2 / (1 + 5)  # "on and on and" and "and on and on" come twice
    assert distinct(outputs, 1).value() == 8 / 13  # it is 42 sir / yes / go on and
    assert distinct(outputs, 2).value() == 6 / 10
    table = {row.name: row for row in score_answers(answers)}
    assert table["fact_recall"].n == 3 and table["empty"].n == 4 and table["repetition"].n == 2
    assert not table["empty"].higher_is_better and not table["repetition"].higher_is_better
    assert (table["empty"].low, table["empty"].high) == wilson(1, 4) and table["empty"].method == "wilson"


def test_words_of_any_script() -> None:
    assert words("Don't stop, 5.50 O\u2019Neil!") == ["don't", "stop", "5", "50", "o\u2019neil"]
    assert words("注文は5日 ok") == ["注", "文", "は", "5", "日", "ok"]
    assert words("STRASSE") == words("straße") and words(" - ") == []


def test_what_no_row_shows_is_undefined_with_its_reason(plain_answers: Make) -> None:
    answers = plain_answers(["", ""], [["a b"], ["c"]])
    table = {row.name: row for row in score_answers(answers)}
    assert "fact_recall" not in table
    assert table["repetition"].reason == "no answer has 4 words" and np.isnan(table["repetition"].value)
    assert table["distinct_1"].reason == "no answer is long enough"
    assert score(fact_recall(answers)).reason == "no row has required facts"
    one = {row.name: row for row in score_answers(plain_answers(["a b c d"], [["a b c d"]]))}
    assert one["bleu"].value == pytest.approx(100) and np.isnan(one["bleu"].low)
    assert one["bleu"].reason == "too few rows or groups for an interval"
    assert one["distinct_1"].value == 1 and np.isnan(one["distinct_1"].low)
    nothing = score_answers(plain_answers([], []))
    assert all(np.isnan(row.value) and row.reason for row in nothing)


def test_an_interval_of_few_groups_says_so(make_answers: Make) -> None:
    methods = {row.name: row.method for row in score_answers(make_answers(38))}
    assert (methods["bleu"], methods["fact_recall"]) == (
        "group bootstrap of only 19",
        "group bootstrap, at least Wilson's",
    )
    assert {row.name: row.method for row in score_answers(make_answers(40))}["bleu"] == "group bootstrap"


def test_an_interval_of_no_width_is_none(plain_answers: Make, capsys: pytest.CaptureFixture[str]) -> None:
    rows = 30
    table = {row.name: row for row in score_answers(plain_answers(["a b c a b c"] * rows, [["x y z"]] * rows))}
    assert all(row.low < row.high or (np.isnan(row.low) and row.reason) for row in table.values())
    for name, value in (("length_ratio", 2.0), ("distinct_1", 3 / (6 * rows))):
        assert table[name].value == pytest.approx(value) and "are equal" in str(table[name].reason)
    half = score(RowSums("half", np.tile([1.0, 2.0], (rows, 1)), share=True))
    assert (half.low, half.high) == pytest.approx(wilson(rows / 2, rows)) and half.reason is None
    nearly = score(RowSums("thirds", np.tile([1 / 3, 1.0], (rows, 1))))
    assert np.isnan(nearly.low) and nearly.value == pytest.approx(1 / 3), "sums of thirds differ in the last digits"
    varied = score(length_ratio(plain_answers(["a b"] * (rows - 1) + ["a b c"], [["x y z"]] * rows)))
    assert varied.low < varied.value < varied.high
    print_scores({"tuned": list(table.values())}, [])
    told = capsys.readouterr().out
    assert "2.000 (no interval)" in told and "nan" not in told


def test_signatures_are_given(make_answers: Make) -> None:
    assert signatures(make_answers(), lowercase=True)["bleu"].startswith("nrefs:var|case:lc|eff:no|tok:13a|smooth:exp")


@pytest.mark.parametrize("name", ["bleu", "chrf", "rouge_2", "fact_recall", "length_ratio"])
def test_intervals_agree_with_resampling_rows(make_answers: Make, name: str) -> None:
    answers = make_answers(60)
    measure = measures(answers)[name]
    assert isinstance(measure, RowSums)
    found = score(measure, answers.groups)

    def of_rows(rows: np.ndarray) -> float:
        return float(measure.formula(measure.sums[rows].sum(0)))

    slow = bootstrap_rows(of_rows, 60, 3000, seed=3, groups=answers.groups)
    assert (found.low, found.high) == pytest.approx(slow, abs=0.08 * (slow[1] - slow[0]))
    assert found.low < found.value < found.high and found.method == "group bootstrap"


def test_scores_depend_on_nothing_but_the_seed(make_answers: Make) -> None:
    answers = make_answers(20)
    assert score_answers(answers, resamples=100) == score_answers(answers, resamples=100)
    other = score_answers(answers, resamples=100, seed=1)
    assert score_answers(answers, resamples=100)[0].low != other[0].low


def test_a_perfect_system_is_not_certain(make_answers: Make) -> None:
    answers = make_answers(24)
    perfect = replace(answers, outputs=[refs[0] for refs in answers.references])
    table = {row.name: row for row in score_answers(perfect)}
    low = wilson(12, 12)[0]
    for name, most in (("bleu", 100), ("chrf", 100), ("rouge_l", 1), ("exact_match", 1)):
        assert (table[name].value, table[name].high) == pytest.approx((most, most))
        assert table[name].low == pytest.approx(low * most)
    assert (table["empty"].low, table["empty"].high) == pytest.approx((0, 1 - low))


def test_groups_that_agree_within_widen_the_interval(plain_answers: Make) -> None:
    draw = random.Random(4)
    right = [draw.random() < 0.6 for _ in range(30)]
    outputs = [("all is well here" if right[row // 8] else "no idea at all") for row in range(240)]
    references = [["all is well here"]] * 240
    alone = score(bleu(plain_answers(outputs, references)))
    groups = np.arange(240) // 8
    together = score(bleu(plain_answers(outputs, references)), groups)
    assert 2.2 < (together.high - together.low) / (alone.high - alone.low) < 3.5  # sqrt(8) = 2.8


def population(seed: int = 0) -> tuple[list[str], list[list[str]]]:
    """Answers of many conversations of three turns; how good they are, and what they are about, is the
    conversation's."""
    draw = random.Random(seed)
    vocabulary = [f"w{i}" for i in range(400)]
    outputs, references = [], []
    for _ in range(700):
        kept, own = draw.betavariate(4, 2), draw.sample(vocabulary, 40)
        for _ in range(3):
            text = [draw.choice(own) for _ in range(draw.randint(5, 15))]
            references.append([" ".join(text)])
            outputs.append(" ".join(word if draw.random() < kept else "other" for word in text))
    return outputs, references


def test_intervals_hold_the_truth_as_often_as_they_say(plain_answers: Make) -> None:
    answers = plain_answers(*population())
    random_numbers, groups = np.random.default_rng(0), np.repeat(np.arange(40), 3)
    samples = [random_numbers.choice(700, 40, replace=False) for _ in range(250)]
    rows = [(3 * sample[:, None] + np.arange(3)).ravel() for sample in samples]
    for measure in (bleu(answers), rouge(answers)["rouge_l"]):
        truth, covered = measure.value(), 0
        for chosen in rows:
            part = replace(measure, sums=measure.sums[chosen])
            found = score(part, groups, resamples=400)
            covered += found.low <= truth <= found.high
        assert 0.89 * 250 <= covered <= 0.99 * 250, measure.name  # 0.95 less 4 binomial deviations


def test_the_jackknife_of_distinct_words_holds_what_as_many_rows_have_in_the_mean() -> None:
    outputs, _ = population()
    random_numbers, groups = np.random.default_rng(1), np.repeat(np.arange(40), 3)
    samples = [random_numbers.choice(700, 40, replace=False) for _ in range(200)]
    texts = [[outputs[3 * one + turn] for one in sample for turn in range(3)] for sample in samples]
    found = [score_distinct(distinct(text, 2, groups), grouped=True) for text in texts]
    truth = np.mean([one.value for one in found])
    covered = sum(one.low <= truth <= one.high for one in found)
    assert covered >= 0.9 * 200
    widths = np.mean([one.high - one.low for one in found]) / (2 * 1.96)
    assert 0.9 < widths / np.std([one.value for one in found]) < 1.6  # not much too wide either


def test_leaving_out_a_unit_is_as_if_it_had_not_been(make_answers: Make) -> None:
    answers = make_answers(20)
    assert answers.groups is not None
    left_out = distinct(answers.outputs, 2, answers.groups).without_each()
    for group in range(10):
        rest = [output for output, one in zip(answers.outputs, answers.groups, strict=True) if one != group]
        assert left_out[group] == pytest.approx(distinct(rest, 2).value(), abs=1e-12)


def test_answers_of_unequal_columns_are_refused(make_answers: Make) -> None:
    answers = make_answers(4)
    with pytest.raises(ValueError, match="4 rows"):
        replace(answers, groups=np.arange(3))
    with pytest.raises(ValueError, match="needs a reference"):
        replace(answers, references=[["a"], [], ["b"], ["c"]])
    with pytest.raises(ValueError, match="blank"):
        replace(answers, facts=[[], [" "], [], []])


def test_every_measure_has_its_own_name(make_answers: Make) -> None:
    found = measures(make_answers(8))
    assert list(found) == [measure.name for measure in found.values()] and len(found) == 12
    assert all(isinstance(measure, RowSums) or measure.name.startswith("distinct") for measure in found.values())


def test_a_recipe_cannot_call_a_measure_as_one_that_all_answers_have(make_answers: Make) -> None:
    likely = {"perplexity", "bits_per_byte", "unfinished"}
    assert {*measures(make_answers(30)), *likely, *TOOL_MEASURES, *GROUNDING_MEASURES} == set(TAKEN)
