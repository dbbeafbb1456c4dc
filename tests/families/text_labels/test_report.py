"""What the page and predictions.csv say, and what runs are compared by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from sklearn.metrics import f1_score

from tests.user_error import user_error
from tunebook.families.text_labels.answers import usual_labels
from tunebook.families.text_labels.figures import f1_figure
from tunebook.families.text_labels.predictions_csv import read_labels, write_labels
from tunebook.families.text_labels.report import labels_sections
from tunebook.families.text_labels.scores import SeveralScorer, precision_of_labels
from tunebook.families.text_labels.thresholds import Chosen
from tunebook.report.report import Table
from tunebook.statistics.predictions import Predictions
from tunebook.statistics.several import none_sums, outcomes_by_label, scores_by_label, several_metrics
from tunebook.statistics.sums import score

NAMES = ("fit", 'a "price", <b>', "星")
SETTINGS = {"confidence": 0.95, "resamples": 200, "seed": 0}


def made_up(rows: int = 60, seed: int = 0, groups: Sequence[str] | None = None) -> Predictions:
    draw = np.random.default_rng(seed)
    target = (np.random.default_rng(99).random((rows, 3)) < [0.2, 0.4, 0.3]).astype(np.int64)
    probabilities = 1 / (1 + np.exp(-(draw.normal(size=(rows, 3)) + 2 * (target - 0.5))))
    return Predictions(
        NAMES,
        target,
        probabilities,
        (probabilities >= 0.5).astype(np.int64),
        ["rows.csv"] * rows,
        list(range(2, rows + 2)),
        [f"text {i}" for i in range(rows)],
        None if groups is None else np.array(groups),
    )


def chosen() -> Chosen:
    return Chosen(dict.fromkeys(NAMES, 0.5), dict(zip(NAMES, (3, 9, 30), strict=True)), 30)


def test_thresholds_that_could_not_be_chosen_are_named() -> None:
    few, every = chosen().notes
    assert few == "the threshold is 0.5 for labels that fewer than 5 validation rows have: fit (3)"
    assert every == "the threshold is 0.5 for labels that every validation row has: 星"


def test_predictions_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    rows = made_up()
    write_labels(tmp_path / "predictions.csv", rows)
    read = read_labels(tmp_path / "predictions.csv", usual_labels(rows.target, rows))
    np.testing.assert_array_equal(read.predicted, rows.predicted)
    np.testing.assert_allclose(read.probabilities, rows.probabilities, rtol=1e-8)
    with user_error("run.other-rows"):
        read_labels(tmp_path / "predictions.csv", made_up(rows=59))


def test_the_usual_labels_are_those_of_half_the_training_rows() -> None:
    train = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 0]])
    found = usual_labels(train, made_up(rows=2))
    assert found.predicted.tolist() == [[1, 1, 0]] * 2 and found.probabilities.tolist() == [[0.5, 0.75, 0.0]] * 2


def test_scores_differences_and_outcomes_agree() -> None:
    one, other = made_up(), made_up(seed=1)
    scorer = SeveralScorer.of(several_metrics(3), SETTINGS)
    for name, one_score in zip(scorer.metrics, scorer.scores(one), strict=True):
        first, second = scorer.outcomes(name, [one, other])
        values = [float(each.scores(np.ones((1, 60), dtype=np.int64))[0]) for each in (first, second)]
        assert one_score.value == pytest.approx(values[0]), name
        found = scorer.difference(name, one, other)
        assert found.value == pytest.approx(values[0] - values[1]) and found.low <= found.value <= found.high
        swapped = first.exchanged(second, np.ones((1, 60), dtype=np.int64))
        if name != "average_precision":  # of which ranks are swapped
            assert float(swapped[0]) == pytest.approx(values[1])


def test_intervals_hold_what_resampled_rows_give() -> None:
    rows = made_up(rows=300)
    found = next(
        each for each in SeveralScorer.of(several_metrics(3), SETTINGS).scores(rows) if each.name == "macro_f1"
    )
    draw = np.random.default_rng(5)
    values = []
    for _ in range(400):
        picked = draw.integers(0, 300, 300)
        values.append(f1_score(rows.target[picked], rows.predicted[picked], average="macro"))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), abs=0.015)


def test_rows_of_one_group_are_no_independent_evidence() -> None:
    alone = made_up(rows=60)
    grouped = made_up(rows=60, groups=[f"g{i // 20}" for i in range(60)])
    wide, narrow = (
        next(s for s in SeveralScorer.of(several_metrics(3), SETTINGS).scores(each) if s.name == "macro_f1")
        for each in (grouped, alone)
    )
    assert wide.value == narrow.value and "group" in wide.method and "group" not in narrow.method


def test_f1_of_each_label_can_be_compared() -> None:
    rows = made_up()
    found = outcomes_by_label(rows)
    for i, name in enumerate(NAMES):
        value = float(found[name].scores(np.ones((1, 60), dtype=np.int64))[0])
        assert value == pytest.approx(f1_score(rows.target[:, i], rows.predicted[:, i]))


def test_the_page_has_a_table_and_figures_of_the_labels() -> None:
    rows = made_up()
    by_label, precision = scores_by_label(rows, **SETTINGS), precision_of_labels(rows, SETTINGS)
    none = {name: score(each, **SETTINGS) for name, each in none_sums(rows).items()}
    sections = labels_sections(rows, by_label, precision, none, chosen())
    titles = [each.title for each in sections]
    assert titles == [
        *("Label by label", "F1 of each label", "Precision and recall"),
        *("Rows without any label", "Worst mistakes"),
    ]
    table = sections[0]
    assert isinstance(table, Table) and [row[0] for row in table.rows] == list(NAMES)
    assert [row[1] for row in table.rows] == rows.target.sum(axis=0).tolist()
    counts = sections[3]
    assert isinstance(counts, Table)
    missing, given = (int((~part.any(axis=1)).sum()) for part in (rows.target, rows.predicted))
    assert [row[1] for row in counts.rows] == [missing, given, missing, given]
    mistakes = sections[4]
    assert isinstance(mistakes, Table)
    for row in mistakes.rows:
        assert row[2] != row[3]


def test_the_figure_names_every_label_and_is_the_same_each_time() -> None:
    by_label = scores_by_label(made_up(), **SETTINGS)
    svg = f1_figure(by_label)
    words = {"".join(node.itertext()) for node in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}
    assert set(NAMES) <= words and f1_figure(by_label) == svg
