from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import zip_longest

import numpy as np
import pytest
import sacrebleu
from sacrebleu.significance import PairedTest

from tunebook.families.text_generation.metrics.answers import GeneratedAnswers
from tunebook.families.text_generation.metrics.differences import paired_differences
from tunebook.families.text_generation.metrics.disagreement import disagreeing_row, disagreeing_systems
from tunebook.families.text_generation.metrics.distinct import distinct
from tunebook.families.text_generation.metrics.measures import score_answers

Make = Callable[..., GeneratedAnswers]


def worse(answers: GeneratedAnswers, share: float, seed: int = 0) -> GeneratedAnswers:
    """The answers with a share of their words gone."""
    draw = random.Random(seed)
    cut = [" ".join(word for word in text.split() if draw.random() > share) for text in answers.outputs]
    return replace(answers, outputs=cut)


def test_a_difference_is_that_of_the_scores(make_answers: Make) -> None:
    one = make_answers(60)
    other = worse(one, 0.3)
    found = paired_differences(one, other, resamples=300)
    scores = [{row.name: row for row in score_answers(each, resamples=20)} for each in (one, other)]
    for name, difference in found.items():
        assert difference.value == pytest.approx(scores[0][name].value - scores[1][name].value)
        assert difference.n == max(scores[0][name].n, scores[1][name].n)
    assert set(found) == set(scores[0])
    for name in ("bleu", "chrf", "rouge_1", "rouge_l", "length_ratio"):
        assert found[name].distinguishable and found[name].low > 0 and found[name].p_value < 0.01
    assert found["bleu"].method == "paired group bootstrap" and found["distinct_1"].method == "paired group jackknife"


def test_a_system_is_no_better_than_itself(make_answers: Make) -> None:
    answers = make_answers(30)
    for name, difference in paired_differences(answers, answers, resamples=100).items():
        assert (difference.value, difference.p_value, difference.distinguishable) == (0.0, 1.0, False), name


def test_the_swap_test_is_that_of_sacrebleu(make_answers: Make) -> None:
    """Its approximate randomisation swaps rows, so there are no groups here."""
    one = replace(make_answers(50), groups=None)
    other = replace(make_answers(50, outputs_seed=77), groups=None)
    found = paired_differences(one, other, resamples=1000)["bleu"]
    streams = list(zip_longest(*one.references))
    named = [("one", one.outputs), ("other", other.outputs)]
    metric = {"BLEU": sacrebleu.BLEU(references=streams)}
    test = PairedTest(named, metric, references=None, test_type="ar", n_samples=1000)
    result = test()[1]["BLEU"][1]
    assert 0.02 < result.p_value < 0.98
    assert found.p_value == pytest.approx(result.p_value, abs=0.06)


def test_swapping_is_right_for_distinct_words(make_answers: Make) -> None:
    """Two rows can be swapped in four ways: the test counts those that differ as much."""
    rows = make_answers(2)
    one = replace(rows, outputs=["a b c d", "e f g h"], groups=None)
    other = replace(rows, outputs=["a a a a", "a b a b"], groups=None)
    found = paired_differences(one, other, resamples=2000)["distinct_1"]
    values = []
    for swap in ((0, 0), (0, 1), (1, 0), (1, 1)):
        first = [(other if s else one).outputs[i] for i, s in enumerate(swap)]
        second = [(one if s else other).outputs[i] for i, s in enumerate(swap)]
        values.append(distinct(first, 1).value() - distinct(second, 1).value())
    assert found.value == values[0] == 0.75
    expected = np.mean([abs(value) >= 0.75 for value in values])
    assert found.p_value == pytest.approx(expected, abs=0.04)  # 3.5 binomial deviations


def test_false_alarms_are_as_rare_as_promised(plain_answers: Make) -> None:
    """Two systems that make the same random mistakes differ by chance alone."""
    alarms = {"bleu": 0, "rouge_l": 0, "distinct_1": 0}
    for seed in range(60):
        draw = random.Random(seed)
        texts = [[str(draw.randint(0, 60)) for _ in range(8)] for _ in range(25)]
        both = [[" ".join(word if draw.random() < 0.7 else "x" for word in text) for text in texts] for _ in range(2)]
        one, other = (plain_answers(outputs, [[" ".join(text)] for text in texts]) for outputs in both)
        found = paired_differences(one, other, resamples=200)
        for name in alarms:
            alarms[name] += found[name].distinguishable
    assert max(alarms.values()) <= 8  # 3 expected, plus 3 binomial deviations


def test_other_rows_are_refused(make_answers: Make) -> None:
    answers = make_answers(6)
    for other in (make_answers(8), replace(answers, groups=None), replace(answers, prompts=["other"] * 6)):
        with pytest.raises(ValueError, match="same rows"):
            paired_differences(answers, other)


def test_the_row_of_most_disagreement_is_found_and_told(plain_answers: Make) -> None:
    reference = "the parcel will come to you on Tuesday morning before nine"
    outputs = [
        reference,
        "the Parcel! Will; come: to? you, (on) tuesday - morning... before/nine",  # for ROUGE-L nothing is wrong
        "the parcel will come to you on Tuesday",
        "the parcel will come to us",
        "nothing of this",
    ]
    found = disagreeing_row(plain_answers(outputs, [[reference]] * 5))
    assert found is not None and (found.row, found.of) == (1, 5)
    assert (found.bleu_place, found.rouge_place) == (4, 1.5)  # first and second are alike to ROUGE-L
    assert found.rouge_l == 1.0 and found.bleu < 20
    told = " ".join(found.explain())
    assert "rank 4" in told and "rank 1.5" in told and "in the same order" in told
    short = disagreeing_row(plain_answers(["a b c", "a b c d x x x x"], [["a b c d e f g h i"]] * 2))
    if short is not None:
        assert "brevity penalty" in " ".join(short.explain())


def test_a_short_answer_is_told_to_be_short(plain_answers: Make) -> None:
    reference = "a b c d e f g h i j k l"
    outputs = ["a b c d e", "a b x d e x g h x j k x"]
    found = disagreeing_row(plain_answers(outputs, [[reference]] * 2))
    assert found is not None and found.row == 0 and (found.bleu_place, found.rouge_place) == (1, 2)
    assert "It is 5 long, the reference 12: brevity penalty 0.25." in " ".join(found.explain())  # exp(1 - 12/5)
    assert "5 of its 5 words and marks and 2 of its 2 runs of four" in " ".join(found.explain())


def test_rows_that_are_placed_alike_disagree_nowhere(plain_answers: Make) -> None:
    assert disagreeing_row(plain_answers(["a b c d", "a b"], [["a b c d"]] * 2)) is None
    assert disagreeing_row(plain_answers(["注文"], [["注文"]])) is None
    assert disagreeing_row(plain_answers([], [])) is None


def test_two_systems_in_opposite_order_are_found(plain_answers: Make) -> None:
    reference = "a b c d e f g h i j k l"
    systems = {
        "blunt": plain_answers(["a b c d e"], [[reference]]),
        "broken": plain_answers(["a b x d e x g h x j k x"], [[reference]]),
        "right": plain_answers([reference], [[reference]]),
    }
    found = disagreeing_systems(systems)
    assert found is not None and (found.by_bleu, found.by_rouge) == ("blunt", "broken")
    assert found.bleu[0] > found.bleu[1] and found.rouge_l[0] < found.rouge_l[1]
    assert found.length_ratio == pytest.approx((5 / 12, 1.0))
    assert "the reverse" in found.explain()[0] and "0.42 times" in found.explain()[1]
    assert disagreeing_systems({name: systems[name] for name in ("blunt", "right")}) is None
    assert disagreeing_systems({}) is None
