from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, precision_score, recall_score

from tunebook.families.image_classification.metrics.operating import OperatingPoint, answers
from tunebook.families.image_classification.metrics.operating_scores import operating_scores
from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.intervals import bootstrap_rows, wilson

Make = Callable[..., FindingPredictions]
NAMES = ("sensitivity", "specificity", "ppv", "npv", "answered")


def _point(low: float, high: float, finding: str = "a") -> OperatingPoint:
    return OperatingPoint("p", "abstain 0.9 0.9", finding, low, high, True, 10, 10)


@pytest.mark.parametrize("decimals", [9, 1])
@pytest.mark.parametrize("low,high", [(0.5, 0.5), (0.3, 0.6)])
def test_the_shares_are_those_of_scikit_learn(low: float, high: float, decimals: int, make_findings: Make) -> None:
    rows = make_findings(decimals=decimals)
    for i, scores in enumerate(operating_scores([_point(low, high, "a"), _point(low, high, "b")], rows)):
        answer = answers(scores.point, rows.probabilities[:, i])
        kept = answer >= 0
        truth, given = rows.target[kept, i], answer[kept]
        (tn, fp), (fn, tp) = confusion_matrix(truth, given)
        expected = {
            "sensitivity": (tp, tp + fn),
            "specificity": (tn, tn + fp),
            "ppv": (tp, tp + fp),
            "npv": (tn, tn + fn),
            "answered": (kept.sum(), len(rows)),
        }
        for name, (hits, n) in expected.items():
            score = getattr(scores, name)
            assert score.name == name
            assert (score.value, score.n) == (pytest.approx(hits / n), n)
            assert (score.low, score.high) == pytest.approx(wilson(hits, n))
            assert score.method == "wilson"
        assert scores.sensitivity.value == pytest.approx(recall_score(truth, given))
        assert scores.ppv.value == pytest.approx(precision_score(truth, given))
        middle = (scores.sensitivity.value + scores.specificity.value) / 2
        assert middle == pytest.approx(balanced_accuracy_score(truth, given))


def test_what_no_row_speaks_of_has_a_reason(make_findings: Make) -> None:
    rows = make_findings()
    rows.target[:, 0] = 0
    scores = operating_scores([_point(0.999, 1.0)], rows)[0]
    assert scores.sensitivity.reason == "no answered row has the finding"
    assert scores.ppv.reason == "no row was answered positive"
    assert np.isnan([scores.sensitivity.value, scores.sensitivity.low, scores.ppv.value, scores.ppv.high]).all()
    assert scores.specificity.value == 1
    rows.target[:, 0] = 1
    scores = operating_scores([_point(0.0, 0.0)], rows)[0]
    assert scores.specificity.reason == "no answered row is without the finding"
    assert scores.npv.reason == "no row was answered negative"
    nobody = operating_scores([_point(0.0, 1.0)], rows)[0]
    assert (nobody.answered.value, nobody.answered.low) == (0, 0)
    empty = operating_scores([_point(0.5, 0.5)], make_findings(n=0))[0]
    assert empty.answered.reason == "there are no rows"


def test_patients_are_drawn_whole(make_findings: Make) -> None:
    rows = make_findings(n=900, patients=90, findings=1)
    point = _point(0.5, 0.5)
    together, alone = operating_scores([point], rows)[0], operating_scores([point], replace(rows, groups=None))[0]
    for name in ("sensitivity", "specificity", "ppv", "npv"):
        one, other = getattr(together, name), getattr(alone, name)
        assert (one.value, one.n) == (other.value, other.n)
        assert one.method == "group bootstrap, at least Wilson's"
        assert one.high - one.low > 1.5 * (other.high - other.low)
    present = rows.target[:, 0] == 1
    right = rows.probabilities[:, 0] >= 0.5
    slow = bootstrap_rows(lambda drawn: float(right[drawn][present[drawn]].mean()), 900, 2000, groups=rows.groups)
    assert (together.sensitivity.low, together.sensitivity.high) == pytest.approx(slow, abs=0.015)


def test_patients_who_all_agree_or_are_few_leave_wilson_s_bound(make_findings: Make) -> None:
    rows = make_findings(n=300, patients=30, findings=1)
    perfect = replace(rows, probabilities=rows.target * 0.5 + 0.25)
    scores = operating_scores([_point(0.5, 0.5)], perfect)[0]
    ill = len(np.unique(rows.groups[rows.target[:, 0] == 1]))
    assert (scores.sensitivity.low, scores.sensitivity.high) == pytest.approx(wilson(ill, ill))
    assert (scores.answered.low, scores.answered.high) == pytest.approx(wilson(30, 30))
    few = replace(rows, groups=rows.groups % 6)
    score = operating_scores([_point(0.5, 0.5)], few)[0].specificity
    low, high = wilson(score.value * 6, 6)
    assert score.low <= low + 1e-12
    assert score.high >= high - 1e-12
    one = operating_scores([_point(0.5, 0.5)], replace(rows, groups=np.zeros(300)))[0]
    for name in NAMES:
        assert np.isnan(getattr(one, name).low)
        assert getattr(one, name).reason == "too few groups for an interval"
