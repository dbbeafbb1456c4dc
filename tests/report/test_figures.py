from __future__ import annotations

import io
import math
import re
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure

from tunebook.report import figures
from tunebook.report.svg import STYLE, _inline, inline_svg
from tunebook.statistics.intervals import Score
from tunebook.statistics.predictions import Predictions

MakePredictions = Callable[..., Predictions]
LABELS = ("bad", "$5$ & <script>", 'id="x" 星')


def _all(rows: Predictions) -> list[str]:
    history = [
        {"step": 10, "train_loss": 1.0},
        {"step": 20, "train_loss": 0.5, "validation_loss": 0.7, "macro_f1": 0.8},
        {"step": 30, "train_loss": math.nan, "validation_loss": None},
    ]
    scores = [
        Score("accuracy", 0.8, 0.7, 0.9, 80),
        Score("distance", 1.4, 1.2, 1.7, 80, higher_is_better=False),
        Score("auroc", math.nan, math.nan, math.nan, 80, reason="one label only"),
    ]
    return [
        figures.learning_curve(history),
        figures.confusion_matrix(rows.confusion(), rows.labels),
        figures.confidence(rows),
        figures.scores_with_intervals({"tuned": scores, "majority": scores[:1]}),
    ]


def test_figures_are_titled_self_contained_and_well_formed(make_predictions: MakePredictions) -> None:
    for svg in _all(replace(make_predictions(), labels=LABELS)):
        root = ElementTree.fromstring(svg)
        title = root.find("{http://www.w3.org/2000/svg}title")
        assert title is not None
        assert title.text
        assert root.get("aria-labelledby") == title.get("id")
        assert not re.findall(r'(?:href|src)="(?!#)', svg)
        assert not re.search(r"url\((?!#)", svg)
        assert "<metadata" not in svg


def test_ids_are_unique_over_all_figures_and_references_find_them(make_predictions: MakePredictions) -> None:
    page = "".join(_all(make_predictions()))
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]*)', page)) <= set(ids)


def test_equal_evidence_gives_equal_bytes(make_predictions: MakePredictions) -> None:
    assert _all(make_predictions()) == _all(make_predictions())


@pytest.mark.parametrize("aspect", ["auto", "equal"])
def test_parts_are_placed_where_savefig_places_them(aspect: str) -> None:
    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        left.set(aspect=aspect, title="a title over\ntwo lines", ylabel="up", xlim=(0, 1e-3), ylim=(-5, 5))
        left.plot([0, 1e-3], [0, 1], label="a line of a long name")
        figure.colorbar(right.imshow(np.eye(3)))
        figure.legend(loc="outside right upper")

    with rc_context(STYLE | {"svg.hashsalt": "here"}):
        figure, file = Figure(figsize=(8, 3), layout="constrained"), io.StringIO()
        draw(figure)
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    assert inline_svg("T", "here", draw, 8, 3) == _inline(file.getvalue(), "T", "here")


def test_labels_are_drawn_as_they_are_written(make_predictions: MakePredictions) -> None:
    rows = replace(make_predictions(), labels=LABELS)
    svg = figures.confusion_matrix(rows.confusion(), rows.labels)
    words = {element.text for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")}
    assert set(LABELS) <= words
    assert "<script" not in svg


def test_no_series_is_left_out_however_many_there_are() -> None:
    names = [f"metric {i}" for i in range(9)]
    svg = figures.learning_curve([{"step": step, **dict.fromkeys(names, step)} for step in (1, 2)])
    for name in names:
        assert f">{name}<" in svg


def test_of_many_labels_the_most_confused_are_drawn() -> None:
    matrix = np.diag(np.full(40, 9))
    matrix[3, 17] = 5
    matrix[21, 3] = 1
    labels = [f"label {i:02}" for i in range(40)]
    chosen = figures.most_confused(matrix, 20)
    assert {3, 17, 21} <= set(chosen.tolist())
    assert len(chosen) == 20
    svg = figures.confusion_matrix(matrix, labels)
    assert "The 20 most confused of 40 labels" in svg
    assert svg.count(">label 17<") == 2
    assert "label 39" not in svg


@pytest.mark.parametrize("size", [2, 12, 30])
def test_every_count_of_a_readable_matrix_is_written(size: int) -> None:
    matrix = np.arange(size * size).reshape(size, size)
    svg = figures.confusion_matrix(matrix, [str(100_000 + i) for i in range(size)])
    words = re.findall(r">(\d+)</t", svg)
    assert {str(count) for count in matrix.ravel() if count} <= set(words)


def _panels(svg: str) -> dict[str, list[tuple[float, float]]]:
    """Where each text of a figure stands, in points."""
    found: dict[str, list[tuple[float, float]]] = {}
    for element in ElementTree.fromstring(svg).iter():
        if element.tag.endswith("text") and element.text:
            place = re.search(r"translate\(([\d.]+) ([\d.]+)\)", element.get("transform") or "")
            x, y = place.groups() if place else (element.get("x"), element.get("y"))
            found.setdefault(element.text, []).append((float(x or 0), float(y or 0)))
    return found


def _panel(*scores: Score) -> str:
    return figures.scores_with_intervals({name: [score] for name, score in zip("abc", scores, strict=False)})


@pytest.mark.parametrize("count,columns", [(6, 1), (7, 2), (13, 2)])
def test_many_metrics_stand_in_two_columns(count: int, columns: int) -> None:
    scores = [Score(f"metric {i:02}", 0.5, 0.4, 0.6, 9) for i in range(count)]
    svg = figures.scores_with_intervals({"tuned": scores, "before tuning": scores, "template": scores})
    titles = {name: place for name, [*places] in _panels(svg).items() if name.startswith("metric") for place in places}
    assert len(titles) == count
    assert len({round(x) for x, _ in titles.values()}) == columns
    assert list(titles) == sorted(titles, key=lambda name: (round(titles[name][1]), titles[name][0]))
    height = float(ElementTree.fromstring(svg).get("viewBox", "").split()[3])
    assert height < 72 * 12


def test_a_ratio_is_drawn_against_one() -> None:
    ratio, other = (Score(name, 0.7, 0.6, 0.8, 9) for name in ("length_ratio", "accuracy"))
    assert "length ratio (best at 1)" in _panels(_panel(ratio))
    assert "1.0" in _panels(_panel(ratio))  # the axis reaches the line
    assert "stroke-dasharray: 3.7" in _panel(ratio)
    assert "stroke-dasharray: 3.7" not in _panel(other)


def test_scores_beyond_one_are_drawn_where_they_are() -> None:
    near = [Score("perplexity", value, value - 5, value + 5, 9, higher_is_better=False) for value in (40.0, 400.0)]
    places = _panels(_panel(*near))
    tuned, base, zero, hundred = (places[text][0][0] for text in ("40.00", "400.0", "0", "100"))
    assert (base - tuned) / (hundred - zero) == pytest.approx(3.6, abs=0.1)
    far = [Score("perplexity", value, value - 5, value + 5, 9, higher_is_better=False) for value in (10.0, 100_000.0)]
    places = _panels(_panel(*far))
    ten, hundred, most = (places[text][0][0] for text in ("10", "100", "10000"))
    assert hundred - ten == pytest.approx((most - ten) / 3, rel=0.1)  # a step for each factor of ten
    infinite = Score("perplexity", math.inf, 10.0, math.inf, 9, higher_is_better=False)
    assert "inf" not in _panels(_panel(far[0], infinite))


def test_nothing_to_draw_is_no_failure(make_predictions: MakePredictions) -> None:
    assert "<svg" in figures.learning_curve([])
    assert "<svg" in figures.scores_with_intervals({"tuned": []})
    assert "<svg" in figures.confusion_matrix(np.zeros((2, 2), dtype=np.int64), ["no", "yes"])
    assert "<svg" in figures.confidence(make_predictions(n=1))
