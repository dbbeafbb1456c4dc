from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.user_error import user_error
from tunebook.families.image_classification.metrics.operating import (
    FORMS,
    OperatingPoint,
    answers,
    choose_points,
    parse_rule,
)
from tunebook.statistics.findings import FindingPredictions

Make = Callable[..., FindingPredictions]


def _rows(target: Sequence[int], probabilities: Sequence[float]) -> FindingPredictions:
    n = len(target)
    columns = np.array(target)[:, None], np.array(probabilities, dtype=float)[:, None]
    return FindingPredictions(("a",), *columns, ["rows.csv"] * n, list(range(n)), [""] * n)


def _point(text: str, target: Sequence[int], probabilities: Sequence[float]) -> OperatingPoint:
    return choose_points([parse_rule("p", text)], _rows(target, probabilities))[0]


TARGET = (0, 0, 1, 0, 1, 0, 1, 1)
PROBABILITIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9)


@pytest.mark.parametrize(
    "text,low,high",
    [
        ("sensitivity 1", 0.25, 0.25),  # every positive: between 0.2 and the lowest positive 0.3
        ("sensitivity 0.75", 0.45, 0.45),  # three of four: between 0.4 and 0.5
        ("sensitivity 0.76", 0.25, 0.25),
        ("sensitivity 0.1", 0.8, 0.8),
        ("specificity 1", 0.65, 0.65),  # the highest negative is 0.6
        ("specificity 0.75", 0.45, 0.45),  # three of four: between 0.4 and 0.5
        ("specificity 0.5", 0.25, 0.25),
        ("abstain 1 1", 0.25, 0.65),
        ("abstain 0.75 0.75", 0.45, 0.45),
        ("threshold 0.5", 0.5, 0.5),
    ],
)
def test_thresholds_are_those_found_by_hand(text: str, low: float, high: float) -> None:
    point = _point(text, TARGET, PROBABILITIES)
    assert (point.low, point.high) == pytest.approx((low, high))
    assert (point.rule, point.reached, point.note, point.n_positive, point.n_negative) == (text, True, "", 4, 4)


def test_tied_rows_stay_on_one_side() -> None:
    target, tied = (1, 1, 1, 0, 0, 0), (0.8, 0.4, 0.4, 0.4, 0.2, 0.2)
    assert _point("sensitivity 0.5", target, tied).high == pytest.approx(0.3)  # 0.8 alone finds a third
    assert _point("specificity 1", target, tied).high == pytest.approx(0.6)
    assert _point("specificity 0.6", target, tied).high == pytest.approx(0.3)
    next_to = np.nextafter(0.5, 1)  # no number lies between the two scores
    point = _point("sensitivity 1", (0, 1), (0.5, next_to))
    assert answers(point, np.array([0.5, next_to])).tolist() == [0, 1]
    assert answers(_point("sensitivity 1", (1, 0), (0.0, 0.5)), np.array([0.0])).tolist() == [1]


def test_thresholds_that_cross_leave_no_row_without_an_answer() -> None:
    target, probabilities = (0, 0, 0, 1, 1, 1), (0.1, 0.2, 0.6, 0.5, 0.8, 0.9)
    point = _point("abstain 0.66 0.66", target, probabilities)
    assert point.low == point.high == pytest.approx(0.7)  # and not 0.35, where the negatives alone would have it
    assert point.reached
    assert "cross" in point.note


@pytest.mark.parametrize("decimals", [9, 1])
@pytest.mark.parametrize("share", [0.05, 0.8, 0.95, 1.0])
def test_no_better_threshold_keeps_the_share(share: float, decimals: int, make_findings: Make) -> None:
    rows = make_findings(decimals=decimals)
    for kind, (i, name) in ((k, f) for k in ("sensitivity", "specificity") for f in enumerate(rows.findings)):
        present, given = rows.target[:, i] == 1, rows.probabilities[:, i]
        point = next(p for p in choose_points([parse_rule("p", f"{kind} {share}")], rows) if p.finding == name)
        sensitivities = {t: (given[present] >= t).mean() for t in (*given, 1.01)}
        specificities = {t: (given[~present] < t).mean() for t in (*given, 1.01)}
        if kind == "sensitivity":
            best = max(t for t, found in sensitivities.items() if found >= share)
        else:
            best = min(t for t, found in specificities.items() if found >= share)
        assert np.array_equal(given >= point.high, given >= best)


@pytest.mark.parametrize(
    "text,target,probabilities,problem",
    [
        ("sensitivity 0.9", (0, 0), (0.2, 0.3), "no validation row has the finding"),
        ("specificity 0.9", (1, 1), (0.2, 0.3), "no validation row is without the finding"),
        ("abstain 0.9 0.9", (1, 1), (0.2, 0.3), "no validation row is without the finding"),
        ("specificity 0.9", (0, 1), (1.0, 1.0), "too many rows without the finding have the probability 1"),
        ("abstain 0.9 0.9", (), (), "no validation row has the finding"),
    ],
)
def test_a_rule_that_the_rows_do_not_allow_falls_back_and_says_so(
    text: str, target: Sequence[int], probabilities: Sequence[float], problem: str
) -> None:
    point = _point(text, target, probabilities)
    assert (point.low, point.high, point.reached) == (0.5, 0.5, False)
    assert point.note == f"{problem}: threshold 0.5 instead of {text}"


def test_no_row_is_positive_where_only_that_is_specific_enough() -> None:
    point = _point("specificity 1", (1, 0), (0.4, 0.8))
    assert point.reached
    assert point.high == pytest.approx(0.9)


def test_answers_are_given_outside_the_two_thresholds() -> None:
    point = OperatingPoint("p", "abstain 0.9 0.9", "a", 0.2, 0.6, True, 5, 5)
    found = answers(point, np.array([0.0, 0.19, 0.2, 0.4, 0.59, 0.6, 1.0]))
    assert found.tolist() == [0, 0, -1, -1, -1, 1, 1]
    assert found.dtype == np.int8
    single = replace(point, low=0.5, high=0.5)
    assert answers(single, np.array([0.49, 0.5])).tolist() == [0, 1]


@pytest.mark.parametrize("text", FORMS)
def test_every_listed_form_is_read(text: str) -> None:
    rule = parse_rule("screening", text)
    assert rule.text == text
    assert (rule.name, rule.kind) == ("screening", text.split()[0])


@pytest.mark.parametrize(
    "text", ["", "sensitivity", "sensitivity 95", "sensitivity 0", "sensitivity 0.9 0.9", "sensitivity x",
             "specificity nan", "threshold 1.5", "threshold -0.1", "abstain 0.95", "youden", "0.5"]
)  # fmt: skip
def test_another_rule_is_refused_with_the_forms(text: str) -> None:
    with user_error("config.bad-rule", where="recipe.operating_points.screening") as caught:
        parse_rule("screening", text)
    assert caught.value.where == "recipe.operating_points.screening"
    assert all(form in str(caught.value.fix) for form in FORMS)


def test_points_survive_json(make_findings: Make) -> None:
    rules = [parse_rule("screening", "sensitivity 0.95"), parse_rule("triage", "abstain 1 1")]
    points = choose_points(rules, make_findings())
    assert [(p.name, p.finding) for p in points] == [(n, f) for n in ("screening", "triage") for f in "ab"]
    written = json.loads(json.dumps([point.to_json() for point in points]))
    assert [OperatingPoint.from_json(each) for each in written] == points


@pytest.mark.parametrize(
    "change",
    [
        {"low": 0.7, "high": 0.6},
        {"low": float("nan")},
        {"high": 1.01},
        {"low": -0.1},
        {"low": "0.5"},
        {"low": True},
        {"high": None},
        {"reached": 1},
        {"n_positive": 1.5},
        {"n_negative": -1},
        {"finding": 3},
        {"rule": "youden"},
        {"other": 1},
    ],
)
def test_a_point_edited_by_hand_is_not_half_believed(change: dict[str, object]) -> None:
    content = OperatingPoint("p", "threshold 0.5", "a", 0.5, 0.5, True, 5, 5).to_json()
    with pytest.raises(ValueError):
        OperatingPoint.from_json(content | change)
    del content["low"]
    with pytest.raises(ValueError):
        OperatingPoint.from_json(content)
