from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np

from tunebook.families.image_classification.metrics.curves import reliability_figure, roc_figure
from tunebook.families.image_classification.metrics.operating import choose_points, parse_rule
from tunebook.report.finding_curves import pr_figure
from tunebook.statistics.findings import FindingPredictions

Make = Callable[..., FindingPredictions]
NAMES = ("pneumonia", "$5$ & <script>", 'id="x" 星')


def _texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_figures_are_self_contained_and_name_what_they_show(make_findings: Make) -> None:
    rows = replace(make_findings(findings=3), findings=NAMES)
    points = choose_points([parse_rule("screening", "sensitivity 0.95"), parse_rule("sort", "abstain 1 1")], rows)
    ids: list[str] = []
    for svg, wanted in (
        (roc_figure(rows, points), {"chance", "screening", "sort", "hollow: rules out below", "sensitivity"}),
        (pr_figure(rows), {"chance, by colour", "precision (PPV)"}),
        (reliability_figure(rows), {"perfect calibration", "mean probability"}),
    ):
        root = ElementTree.fromstring(svg)
        assert root.get("role") == "img"
        assert not re.findall(r'(?:href|src)="(?!#)', svg)
        assert (wanted | set(NAMES)) <= set(_texts(svg))
        ids += [node.get("id", "") for node in root.iter() if node.get("id")]
    assert len(ids) == len(set(ids))  # three figures on one page


def _path(svg: str) -> np.ndarray:
    """The corners of the curve drawn in the first colour, in points."""
    paths = re.findall(r'<path d="([^"]+)"[^>]*style="fill: none; stroke: #0072b2', svg)
    return np.array(re.findall(r"[ML] ([\d.]+) ([\d.]+)", max(paths, key=len)), dtype=float)


def test_the_roc_curve_rises_from_corner_to_corner(make_findings: Make) -> None:
    rows = make_findings(n=6, findings=1)
    rows.target[:, 0] = [0, 0, 1, 0, 1, 1]
    rows.probabilities[:, 0] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    drawn = _path(roc_figure(rows))
    across = (drawn[:, 0] - drawn[0, 0]) / (drawn[-1, 0] - drawn[0, 0])
    up = (drawn[:, 1] - drawn[0, 1]) / (drawn[-1, 1] - drawn[0, 1])
    corners = {(round(x, 2), round(y, 2)) for x, y in zip(across, up, strict=True)}
    assert {(0.0, 0.0), (0.0, 0.67), (0.33, 0.67), (0.33, 1.0), (1.0, 1.0)} <= corners


def test_a_finding_of_one_class_is_named_without_a_curve(make_findings: Make) -> None:
    rows = make_findings(findings=2)
    rows.target[:, 1] = 0
    for svg in (roc_figure(rows), pr_figure(rows)):
        assert "no curve: b" in _texts(svg)
        assert "#e69f00" not in svg.lower()
    assert "b" in _texts(reliability_figure(rows))
    assert "no curve: a" in _texts(roc_figure(make_findings(n=0)))


def test_equal_predictions_give_equal_bytes(make_findings: Make) -> None:
    rows = make_findings(patients=30)
    for figure in (roc_figure, pr_figure, reliability_figure):
        assert figure(rows) == figure(rows)


def test_one_patient_and_many_findings_are_drawn(make_findings: Make) -> None:
    alone = replace(make_findings(), groups=np.zeros(120, dtype=int))
    assert "a" in _texts(reliability_figure(alone))
    many = _texts(roc_figure(make_findings(findings=8)))
    assert set("abcdefgh") <= set(many)
