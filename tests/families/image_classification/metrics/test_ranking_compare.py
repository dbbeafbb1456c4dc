from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tunebook.families.image_classification.metrics.ranking_compare import paired_ranking_difference
from tunebook.statistics.findings import FindingPredictions

Make = Callable[..., FindingPredictions]


def _blurred(rows: FindingPredictions, noise: float, seed: int = 0) -> FindingPredictions:
    random = np.random.default_rng(seed)
    logits = np.log(rows.probabilities / (1 - rows.probabilities)) + random.normal(0, noise, rows.target.shape)
    return replace(rows, probabilities=1 / (1 + np.exp(-logits)))


def test_the_difference_is_that_of_the_mean_areas(make_findings: Make) -> None:
    rows = make_findings(n=300)
    worse = _blurred(rows, 3.0)
    found = paired_ranking_difference(rows, worse, resamples=300)
    expected = roc_auc_score(rows.target, rows.probabilities) - roc_auc_score(rows.target, worse.probabilities)
    assert found.value == pytest.approx(expected, abs=1e-6)
    assert found.low < found.value < found.high
    assert found.distinguishable
    assert found.p_value == pytest.approx(1 / 301)
    back = paired_ranking_difference(worse, rows, resamples=300)
    assert (back.value, back.low, back.high) == pytest.approx((-found.value, -found.high, -found.low))


def test_a_model_is_not_better_than_itself_on_another_scale(make_findings: Make) -> None:
    rows = make_findings()
    flat = replace(rows, probabilities=rows.probabilities**3)
    found = paired_ranking_difference(rows, flat, resamples=200)
    assert (found.value, found.low, found.high, found.p_value) == (0, 0, 0, 1)
    assert not found.distinguishable


def test_models_of_equal_worth_are_told_apart_as_seldom_as_promised(make_findings: Make) -> None:
    claimed, small = 0, 0
    for seed in range(150):
        rows = make_findings(n=60, findings=1, seed=seed)
        one, other = _blurred(rows, 1.0, seed), _blurred(rows, 1.0, seed + 10_000)
        scaled = replace(other, probabilities=other.probabilities / 2)  # as good, and half as sure
        found = paired_ranking_difference(one, scaled, resamples=150, seed=seed)
        claimed += found.distinguishable
        small += found.p_value < 0.5
    assert claimed <= 15  # 7.5 expected at most, and 2.8 binomial deviations
    assert 55 <= small <= 95  # p-values of equal models are spread evenly


def test_rows_of_one_patient_are_swapped_and_drawn_together(make_findings: Make) -> None:
    rows = make_findings(n=240, patients=12, findings=1)
    random = np.random.default_rng(3)
    noise = random.normal(0, 1.5, 12)[rows.groups][:, None]
    other = replace(rows, probabilities=1 / (1 + np.exp(-noise - 2 * rows.target)))
    together = paired_ranking_difference(rows, other, resamples=400)
    alone = paired_ranking_difference(replace(rows, groups=None), replace(other, groups=None), resamples=400)
    assert together.method == "paired group bootstrap"
    assert together.high - together.low > 1.5 * (alone.high - alone.low)
    assert together.p_value >= alone.p_value


def test_other_rows_are_refused_and_undefined_ones_claim_nothing(make_findings: Make) -> None:
    rows = make_findings()
    with pytest.raises(ValueError, match="same rows"):
        paired_ranking_difference(rows, make_findings(seed=1))
    empty = replace(rows, target=np.zeros_like(rows.target))
    found = paired_ranking_difference(empty, empty)
    assert np.isnan([found.value, found.low, found.high, found.p_value]).all()
    assert not found.distinguishable


def test_a_perfect_ranking_of_few_rows_has_no_empty_interval() -> None:
    target = np.array([0, 0, 0, 0, 1, 1, 1, 1])[:, None]
    rows = {"files": ["a.csv"] * 8, "lines": list(range(8)), "images": ["a.png"] * 8}
    perfect = FindingPredictions(("nodule",), target, np.linspace(0.1, 0.9, 8)[:, None], **rows)
    constant = replace(perfect, probabilities=np.full((8, 1), 0.5))
    found = paired_ranking_difference(perfect, constant, resamples=200)
    assert found.value == 0.5
    # The perfect one alone is only known to lie above 0.58 or so, from eight rows.
    assert 0 < found.low < 0.3 and found.high == 0.5
