from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import recall_score, roc_auc_score

from tunebook.families.image_classification.metrics.operating import OperatingPoint
from tunebook.families.image_classification.metrics.subgroups import rows_of, subgroup_table
from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.intervals import Score

Make = Callable[..., FindingPredictions]
POINTS = [OperatingPoint("p", "threshold 0.5", name, 0.5, 0.5, True, 10, 10) for name in "ab"]


def _of_sites(rows: FindingPredictions, sizes: dict[str, int]) -> FindingPredictions:
    sites = np.repeat(list(sizes), list(sizes.values()))
    return replace(rows, subgroups={"site": np.random.default_rng(0).permutation(sites)})


def _hidden(score: Score | None) -> bool:
    return score is not None and bool(np.isnan([score.value, score.low, score.high]).all())


def test_each_subgroup_is_scored_like_scikit_learn(make_findings: Make) -> None:
    rows = _of_sites(make_findings(n=400), {"south": 150, "": 60, "north": 190})
    table = subgroup_table(rows, POINTS, resamples=100)
    assert [(row.value, row.finding) for row in table] == [
        (value, finding) for value in ("north", "south", "not given") for finding in "ab"
    ]
    for row in table:
        inside = rows.subgroups["site"] == ("" if row.value == "not given" else row.value)
        i = "ab".index(row.finding)
        target, given = rows.target[inside, i], rows.probabilities[inside, i]
        assert (row.column, row.n, row.positives) == ("site", len(target), target.sum())
        assert row.auroc.value == pytest.approx(roc_auc_score(target, given), abs=1e-6)
        assert row.auroc.low < row.auroc.value < row.auroc.high
        for score, label in ((row.sensitivity, 1), (row.specificity, 0)):
            assert score is not None
            assert score.n == (target == label).sum()
            if score.n >= 20:
                assert score.value == pytest.approx(recall_score(target, given >= 0.5, pos_label=label))
                assert score.low < score.value < score.high


def test_too_few_rows_are_hidden_each_by_its_own_count(make_findings: Make) -> None:
    rows = make_findings(n=79, findings=1)
    sites = np.repeat(["few", "rare"], [19, 60])
    rows.target[:, 0] = 0
    rows.target[:10], rows.target[19:38] = 1, 1  # 19 of the 60 rows of "rare" have the finding
    few, rare = subgroup_table(replace(rows, subgroups={"site": sites}), POINTS[:1], resamples=50)
    assert _hidden(few.auroc) and _hidden(few.sensitivity) and _hidden(few.specificity)
    assert (few.n, few.positives, few.auroc.reason) == (19, 10, "fewer than 20 rows")
    assert rare.auroc.defined
    assert _hidden(rare.sensitivity)
    assert rare.sensitivity.reason == "fewer than 20 answered rows with the finding"
    assert rare.specificity.defined
    lower = subgroup_table(replace(rows, subgroups={"site": sites}), POINTS[:1], least=19, resamples=50)
    assert lower[1].sensitivity.defined


def test_a_subgroup_of_one_class_has_a_reason(make_findings: Make) -> None:
    rows = make_findings(n=100, findings=1)
    rows.target[:40] = 0
    sites = np.repeat(["well", "mixed"], [40, 60])
    _, well = subgroup_table(replace(rows, subgroups={"site": sites}), [], resamples=50)
    assert _hidden(well.auroc)
    assert well.auroc.reason == "no row has 'a'"
    assert well.sensitivity is None


def test_patients_are_counted_within_the_subgroup(make_findings: Make) -> None:
    rows = _of_sites(make_findings(n=600, patients=60, findings=1), {"one": 300, "two": 300})
    together = subgroup_table(rows, POINTS[:1], resamples=300)
    alone = subgroup_table(replace(rows, groups=None), POINTS[:1], resamples=300)
    for one, other in zip(together, alone, strict=True):
        assert one.auroc.value == other.auroc.value
        assert one.auroc.high - one.auroc.low > 1.2 * (other.auroc.high - other.auroc.low)
        assert one.specificity.high - one.specificity.low > 1.2 * (other.specificity.high - other.specificity.low)


def test_one_point_for_each_finding(make_findings: Make) -> None:
    with pytest.raises(ValueError, match="one operating point"):
        subgroup_table(make_findings(), [POINTS[0], POINTS[0]])
    assert subgroup_table(make_findings(), POINTS) == []


def test_rows_are_taken_of_every_column(make_findings: Make) -> None:
    rows = replace(make_findings(patients=9), subgroups={"site": np.arange(120).astype(str)})
    part = rows_of(rows, np.array([7, 3]))
    assert part.lines == [9, 5]
    assert part.images == ["7.png", "3.png"]
    assert part.subgroups["site"].tolist() == ["7", "3"]
    assert part.groups.tolist() == rows.groups[[7, 3]].tolist()
    assert np.array_equal(part.target, rows.target[[7, 3]])
    assert np.array_equal(part.probabilities, rows.probabilities[[7, 3]])
