"""BLEU and chrF against sacreBLEU, ROUGE against rouge-score, and cases computed by hand."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import zip_longest

import numpy as np
import pytest
import sacrebleu

from tunebook.families.text_generation.metrics.answers import GeneratedAnswers
from tunebook.families.text_generation.metrics.overlap import bleu, bleu_of_sums, chrf, chrf_of_sums, rouge
from tunebook.families.text_generation.metrics.rouge import best_rouge, common_subsequence, rouge_tokens

Make = Callable[..., GeneratedAnswers]


def parts(answers: GeneratedAnswers, rows: list[int]) -> tuple[list[str], list[tuple[str | None, ...]]]:
    return [answers.outputs[row] for row in rows], list(zip_longest(*(answers.references[row] for row in rows)))


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("tokenize", ["13a", "char", "intl"])
def test_bleu_is_that_of_sacrebleu(make_answers: Make, lowercase: bool, tokenize: str) -> None:
    for seed in range(5):
        answers = make_answers(40, seed)
        metric = sacrebleu.BLEU(lowercase=lowercase, tokenize=tokenize)
        expected = metric.corpus_score(*parts(answers, list(range(40)))).score
        measure = bleu(answers, lowercase, tokenize)
        assert measure.value() == pytest.approx(expected, abs=1e-6) and expected > 5
        assert measure.signature == str(metric.get_signature())
        assert "nrefs:var" in measure.signature and f"case:{'lc' if lowercase else 'mixed'}" in measure.signature


@pytest.mark.parametrize("lowercase", [False, True])
def test_chrf_is_that_of_sacrebleu(make_answers: Make, lowercase: bool) -> None:
    answers = make_answers(40)
    metric = sacrebleu.CHRF(lowercase=lowercase)
    expected = metric.corpus_score(*parts(answers, list(range(40)))).score
    measure = chrf(answers, lowercase)
    assert measure.value() == pytest.approx(expected, abs=1e-6)
    assert measure.signature == str(metric.get_signature())


def test_resamples_by_sums_are_those_of_sacrebleu(make_answers: Make) -> None:
    answers, draw = make_answers(25), np.random.default_rng(1)
    by_bleu, by_chrf = bleu(answers), chrf(answers)
    drawn = [draw.integers(0, 25, size).tolist() for size in [25] * 20 + [1, 2, 3] * 20]  # few rows: orders missing
    weights = np.array([np.bincount(rows, minlength=25) for rows in drawn])
    for measure, metric in ((by_bleu, sacrebleu.BLEU()), (by_chrf, sacrebleu.CHRF())):
        expected = [metric.corpus_score(*parts(answers, rows)).score for rows in drawn]
        assert measure.formula(weights @ measure.sums) == pytest.approx(expected, abs=1e-6)
        assert min(expected) == 0 < max(expected)


def test_bleu_of_single_rows_is_that_of_sacrebleu(make_answers: Make) -> None:
    answers = make_answers(60)
    metric = sacrebleu.BLEU(effective_order=True)
    pairs = zip(answers.outputs, answers.references, strict=True)
    expected = [metric.sentence_score(output, references).score for output, references in pairs]
    assert bleu_of_sums(bleu(answers).sums, effective_order=True) == pytest.approx(expected, abs=1e-6)


def test_three_right_words_have_no_corpus_bleu(plain_answers: Make) -> None:
    three = bleu(plain_answers(["Paid in full"], [["Paid in full"]]))
    assert three.value() == 0.0  # there is no run of four
    assert bleu_of_sums(three.sums, effective_order=True).tolist() == pytest.approx([100.0])
    assert bleu(plain_answers(["It is paid in full"], [["It is paid in full"]])).value() == pytest.approx(100.0)


def test_bleu_by_hand(plain_answers: Make) -> None:
    # 5 of 6 words, 3 of 5 pairs, 1 of 4 triples, none of 3 fours (counts half of one); one word short of 7
    measure = bleu(plain_answers(["a b c X d e"], [["a b c d e f g"]]))
    expected = 100 * np.exp(1 - 7 / 6) * (5 / 6 * 3 / 5 * 1 / 4 * 0.5 / 3) ** 0.25
    assert measure.value() == pytest.approx(expected)
    # the nearest reference sets the length, every reference its n-grams
    both = bleu(plain_answers(["a b c X d e"], [["a b c d e f g", "X d e X d e"]]))
    assert both.value() == pytest.approx(100 * (6 / 6 * 4 / 5 * 2 / 4 * 0.5 / 3) ** 0.25)


def test_outputs_of_nothing_score_nothing(plain_answers: Make) -> None:
    answers = plain_answers(["", " \n"], [["some text"], ["more", "of it"]])
    for measure in (bleu(answers), chrf(answers), *rouge(answers).values()):
        assert measure.value() == 0.0 and measure.reason is None
    none = plain_answers([], [])
    for measure in (bleu(none), chrf(none), *rouge(none).values()):
        assert np.isnan(measure.value()) and measure.reason == "there are no rows"


def test_japanese_has_chrf_and_no_rouge(plain_answers: Make) -> None:
    text = "ご注文は五日以内に届きます。"
    answers = plain_answers([text], [[text]])
    assert chrf(answers).value() == pytest.approx(100.0)
    for measure in (bleu(answers), *rouge(answers).values()):
        assert np.isnan(measure.value()) and "use chrF" in (measure.reason or "")
    assert bleu(answers, tokenize="zh").value() == pytest.approx(100.0)
    russian = plain_answers(["Заказ придёт во вторник"], [["Заказ придёт во вторник"]])
    assert np.isnan(rouge(russian)["rouge_l"].value()) and bleu(russian).value() == pytest.approx(100.0)
    french = plain_answers(["Votre commande arrive très tôt"], [["Votre commande arrive très tôt"]])
    assert rouge(french)["rouge_l"].value() == 1.0


def test_rouge_is_that_of_rouge_score(make_answers: Make) -> None:
    scorer = pytest.importorskip("rouge_score.rouge_scorer", reason="the package rouge-score is not installed")
    reference = scorer.RougeScorer(["rouge1", "rouge2", "rougeL"])
    answers = make_answers(200, seed=9)
    pairs = zip(answers.outputs, answers.references, strict=True)
    expected = np.array(
        [[found.fmeasure for found in reference.score_multi(refs, out).values()] for out, refs in pairs]
    )
    found = np.stack([measure.sums[:, 0] for measure in rouge(answers).values()], axis=1)
    assert found == pytest.approx(expected, abs=1e-6)
    assert 0.3 < expected.mean() < 0.9 and (expected == 0).any()
    means = [measure.value() for measure in rouge(answers).values()]
    assert means == pytest.approx(expected.mean(0), abs=1e-6)


def test_rouge_by_hand() -> None:
    # 3 of 4 and 3 of 6 words; the pair "the cat"; "the cat ... mat" in order
    assert best_rouge("The cat's mat!", ["the cat sat on a mat"]) == pytest.approx((0.6, 0.25, 0.6))
    assert best_rouge("b a", ["a b", "a c"]) == pytest.approx((1.0, 0.0, 0.5))
    assert rouge_tokens("£5.50, naïve Ünits") == ["5", "50", "na", "ve", "nits"]


def test_the_longest_common_subsequence_is_that_of_the_table() -> None:
    draw = random.Random(0)
    for _ in range(100):
        one, other = ([draw.choice("abcd") for _ in range(draw.randint(0, 90))] for _ in range(2))
        table = np.zeros((len(one) + 1, len(other) + 1), dtype=int)
        for i, left in enumerate(one):
            for j, right in enumerate(other):
                table[i + 1, j + 1] = table[i, j] + 1 if left == right else max(table[i, j + 1], table[i + 1, j])
        assert common_subsequence(one, other) == table[-1, -1]


def test_formulas_take_stacks(make_answers: Make) -> None:
    answers = make_answers(6)
    for measure, formula in ((bleu(answers), bleu_of_sums), (chrf(answers), chrf_of_sums)):
        stack = np.stack([measure.sums[:3], measure.sums[3:]])
        assert formula(stack).tolist() == [formula(row).tolist() for row in stack]
