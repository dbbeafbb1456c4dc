from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

from tunebook.families.text_generation.metrics.answers import GeneratedAnswers
from tunebook.families.text_generation.metrics.differences import paired_differences
from tunebook.families.text_generation.metrics.overlap import bleu
from tunebook.families.text_generation.metrics.perplexity import perplexity
from tunebook.statistics.sums import score
from tunebook.statistics.sums_difference import sums_difference


def test_perplexity_is_the_exponential_of_the_mean_loss_of_a_token() -> None:
    # tokens of probability 1/2, 1/2 and 1/8 in two rows: (2 * 2 * 8) ** (1 / 3)
    found = perplexity([2 * math.log(2), math.log(8)], [2, 1])
    assert found.value() == pytest.approx(32 ** (1 / 3))
    assert (found.name, found.higher_is_better) == ("perplexity", False)


def test_it_is_numpys_mean_of_all_tokens() -> None:
    draw = np.random.default_rng(0)
    rows = [draw.exponential(3.0, n) for n in draw.integers(1, 40, 30)]
    found = score(perplexity([row.sum() for row in rows], [len(row) for row in rows]), resamples=200)
    assert found.value == pytest.approx(float(np.exp(np.concatenate(rows).mean())))
    assert found.low < found.value < found.high and found.n == 30


def test_a_row_without_tokens_does_not_count() -> None:
    found = score(perplexity([0.0, 3.0, 5.0], [0, 2, 2]), resamples=50)
    assert found.n == 2 and found.value == pytest.approx(math.exp(2))
    nothing = score(perplexity([], []), resamples=50)
    assert math.isnan(nothing.value) and nothing.reason


def test_groups_are_resampled_whole() -> None:
    draw = np.random.default_rng(1)
    groups = np.repeat(np.arange(40), 3)
    tokens = draw.integers(5, 30, 120)
    losses = tokens * (3 + np.repeat(draw.normal(0, 0.6, 40), 3))
    found = score(perplexity(losses, tokens), groups, resamples=2000)
    values = []
    for _ in range(2000):
        rows = np.concatenate([np.flatnonzero(groups == g) for g in draw.integers(0, 40, 40)])
        values.append(np.exp(losses[rows].sum() / tokens[rows].sum()))
    low, high = np.quantile(values, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), rel=0.03)
    assert found.method == "group bootstrap"
    alone = score(perplexity(losses, tokens), resamples=2000)
    assert alone.high - alone.low < 0.75 * (found.high - found.low)  # about 1 / sqrt(3)


def test_what_cannot_be_a_loss_is_refused_or_undefined() -> None:
    with pytest.raises(ValueError, match="2 losses do not belong to 1 rows"):
        perplexity([1.0, 2.0], [3])
    with pytest.raises(ValueError, match="no loss"):
        perplexity([1.0], [0])
    diverged = score(perplexity([1.0, math.nan], [1, 1]), resamples=50)
    assert math.isnan(diverged.value) and "finite" in (diverged.reason or "")
    assert perplexity([8000.0], [10]).value() == math.inf


def test_two_models_are_compared_by_perplexity() -> None:
    tokens = [3, 5, 4, 6, 2, 7]
    one = perplexity([6.1, 11.0, 7.2, 13.1, 5.0, 15.5], tokens)
    other = perplexity([6.9, 11.2, 8.1, 13.0, 5.9, 16.1], tokens)
    found = sums_difference(one, other, resamples=3000)
    assert found.value == pytest.approx(math.exp(57.9 / 27) - math.exp(61.2 / 27))
    assert found.low < found.value < found.high and found.n == 6
    values = []
    for swaps in product((False, True), repeat=6):
        sides = [
            sum(b[0] if swap else a[0] for a, b, swap in zip(x.sums, y.sums, swaps, strict=True))
            for x, y in ((one, other), (other, one))
        ]
        values.append(abs(math.exp(sides[0] / 27) - math.exp(sides[1] / 27)))
    expected = np.mean(np.array(values) >= abs(found.value) - 1e-9)
    assert 0.02 < expected < 0.5
    assert found.p_value == pytest.approx(expected, abs=0.015)  # 3.5 binomial deviations
    same = sums_difference(one, one, resamples=100)
    assert (same.value, same.p_value, same.distinguishable) == (0.0, 1.0, False)


def test_one_measure_is_compared_as_among_all(make_answers: Callable[..., GeneratedAnswers]) -> None:
    one, other = make_answers(20), make_answers(20, outputs_seed=5)
    settings = {"resamples": 100, "seed": 3}
    alone = sums_difference(bleu(one), bleu(other), one.groups, **settings)  # type: ignore[arg-type]
    assert alone == paired_differences(one, other, **settings)["bleu"]  # type: ignore[arg-type]
    for wrong in (perplexity([1.0], [1]), bleu(make_answers(22))):
        with pytest.raises(ValueError, match="one measure of the same rows"):
            sums_difference(bleu(one), wrong)
