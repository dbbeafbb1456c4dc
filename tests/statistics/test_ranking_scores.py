from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.intervals import bootstrap_rows, wilson
from tunebook.statistics.ranking_scores import mean_ranking_scores, newcombe, ranking_scores

Make = Callable[..., FindingPredictions]


def test_scores_are_scikit_learn_s_with_an_interval_around(make_findings: Make) -> None:
    rows = make_findings(findings=3, decimals=1)
    table = ranking_scores(rows, resamples=300)
    assert list(table) == ["a", "b", "c"]
    for i, scores in enumerate(table.values()):
        target, given = rows.target[:, i], rows.probabilities[:, i]
        assert [score.name for score in scores] == ["auroc", "average_precision"]
        assert scores[0].value == pytest.approx(roc_auc_score(target, given), abs=1e-6)
        assert scores[1].value == pytest.approx(average_precision_score(target, given), abs=1e-6)
        assert all(0 <= s.low < s.value < s.high <= 1 and s.n == 120 and s.reason is None for s in scores)
    areas, precisions = mean_ranking_scores(rows, resamples=300)
    assert areas.value == pytest.approx(roc_auc_score(rows.target, rows.probabilities), abs=1e-6)
    assert precisions.value == pytest.approx(average_precision_score(rows.target, rows.probabilities), abs=1e-6)
    narrowest = min(scores[0].high - scores[0].low for scores in table.values())
    assert areas.high - areas.low < narrowest  # three findings know more than one


def test_the_interval_is_the_bootstrap_s_or_newcombe_s_where_that_is_wider(make_findings: Make) -> None:
    rows = make_findings(n=400, findings=1, seed=3)
    target, given = rows.target[:, 0], rows.probabilities[:, 0]
    score = ranking_scores(rows, resamples=2000)["a"][0]

    def slow(drawn: np.ndarray) -> float:
        return float(roc_auc_score(target[drawn], given[drawn]))

    low, high = bootstrap_rows(slow, 400, 600, seed=9)
    closed = newcombe(score.value, int(target.sum()), int((1 - target).sum()))
    assert (score.low, score.high) == pytest.approx((min(low, closed[0]), max(high, closed[1])), abs=0.006)


@pytest.mark.parametrize("area,positives,negatives", [(0.5, 20, 20), (0.83, 12, 60), (1.0, 10, 10), (0.99, 3, 300)])
def test_newcombe_ends_where_the_area_is_z_standard_errors_away(area: float, positives: int, negatives: int) -> None:
    z, others = 1.959964, (positives + negatives) / 2 - 1
    for end in newcombe(area, positives, negatives):
        variance = end * (1 - end) * (1 + others * (1 - end) / (2 - end) + others * end / (1 + end))
        assert abs(end - area) == pytest.approx(z * np.sqrt(variance / (positives * negatives)), abs=1e-5)
    low, high = newcombe(1 - area, positives, negatives)
    assert (1 - high, 1 - low) == pytest.approx(newcombe(area, positives, negatives), abs=1e-9)


@pytest.mark.parametrize("area,share,most", [(0.8, 0.5, 0.99), (0.95, 0.15, 1.0)])  # few positives: cautious
def test_the_interval_covers_the_true_area(area: float, share: float, most: float, make_findings: Make) -> None:
    apart = NormalDist().inv_cdf(area) * np.sqrt(2)  # binormal scores of one variance
    random = np.random.default_rng(4)
    blank, covered = make_findings(n=80, findings=1), 0
    for seed in range(200):
        target = (random.random((80, 1)) < share).astype(np.int64)
        normal = random.normal(size=(80, 1)) + apart * target
        rows = replace(blank, target=target, probabilities=1 / (1 + np.exp(-normal)))
        score = ranking_scores(rows, resamples=200, seed=seed)["a"][0]
        covered += score.low <= area <= score.high
    assert 0.90 <= covered / 200 <= most


def test_a_perfect_ranking_is_not_certain(make_findings: Make) -> None:
    rows = make_findings(findings=2)
    perfect = replace(rows, probabilities=rows.target * 0.5 + 0.25)
    for i, (area, precision) in enumerate(ranking_scores(perfect, resamples=100).values()):
        positives = int(rows.target[:, i].sum())
        assert (area.value, area.high) == (1, 1)
        assert (precision.value, precision.high) == (1, 1)
        assert area.low == pytest.approx(newcombe(1.0, positives, 120 - positives)[0], abs=1e-9)
        assert precision.low == pytest.approx(wilson(positives, positives)[0], abs=1e-9)
    lows = [area.low for area, _ in ranking_scores(perfect, resamples=100).values()]
    mean = mean_ranking_scores(perfect, resamples=100)[0]
    assert (mean.value, mean.high) == (1, 1)
    assert mean.low == pytest.approx(1 - np.hypot(1 - lows[0], 1 - lows[1]) / 2)


def test_patients_count_as_patients(make_findings: Make) -> None:
    rows = make_findings(n=600, patients=60, findings=1, seed=5)
    widths = []
    for each in (rows, replace(rows, groups=None)):
        score = ranking_scores(each, resamples=500)["a"][0]
        assert score.method.startswith("group bootstrap" if each.groups is not None else "bootstrap")
        widths.append(score.high - score.low)
    assert widths[0] > 1.8 * widths[1]  # about sqrt(10): ten rows a patient, nearly all alike
    singles = replace(rows, groups=np.arange(600))
    alone = ranking_scores(singles, resamples=500)["a"][0]
    assert alone.high - alone.low == pytest.approx(widths[1], abs=0.012)
    perfect = replace(rows, probabilities=rows.target * 0.5 + 0.25)
    ill = len(np.unique(rows.groups[rows.target[:, 0] == 1]))
    assert ranking_scores(perfect, resamples=50)["a"][0].low == pytest.approx(newcombe(1.0, ill, 60 - ill)[0])


def test_a_finding_of_one_class_is_left_out_with_a_reason(make_findings: Make) -> None:
    rows = make_findings(findings=3)
    rows.target[:, 1], rows.target[:, 2] = 0, 1
    table = ranking_scores(rows, resamples=50)
    assert [score.reason for score in table["b"]] == ["no row has 'b'"] * 2
    assert [score.reason for score in table["c"]] == ["no row is without 'c'"] * 2
    assert np.isnan([[s.value, s.low, s.high] for name in "bc" for s in table[name]]).all()
    assert mean_ranking_scores(rows, resamples=50)[0].value == pytest.approx(table["a"][0].value)
    rows.target[:, 0] = 0
    mean = mean_ranking_scores(rows, resamples=50)[0]
    assert np.isnan([mean.value, mean.low, mean.high]).all()
    assert mean.reason == "no finding has rows with it and rows without it"


def test_one_patient_has_a_score_and_no_interval(make_findings: Make) -> None:
    rows = replace(make_findings(), groups=np.zeros(120, dtype=int))
    for score in (*ranking_scores(rows)["a"], *mean_ranking_scores(rows)):
        assert score.defined
        assert np.isnan([score.low, score.high]).all()
        assert score.reason == "too few rows or groups for an interval"


def test_no_rows_have_no_score(make_findings: Make) -> None:
    score = ranking_scores(make_findings(n=0))["a"][0]
    assert np.isnan(score.value)
    assert score.reason == "there are no rows"
