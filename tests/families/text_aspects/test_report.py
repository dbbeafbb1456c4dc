from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.user_error import user_error
from tunebook.config.score import ScoreConfig
from tunebook.data.batch import IGNORE_INDEX
from tunebook.data.rows import Rows, RowWriter, row_schema
from tunebook.families.strata import Strata
from tunebook.families.text_aspects.baselines import majority
from tunebook.families.text_aspects.columns import targets_of
from tunebook.families.text_aspects.evidence import AspectEvidence
from tunebook.families.text_aspects.measures import overall_measures
from tunebook.families.text_aspects.options import TextAspectsConfig
from tunebook.families.text_aspects.predictions_csv import read_aspects, write_aspects
from tunebook.families.text_aspects.predictor import AspectAnswers
from tunebook.families.text_aspects.recipe import TextAspects
from tunebook.families.text_aspects.report import MOST_MATRICES
from tunebook.report.files import lines_of
from tunebook.report.report import Figure, Table, render

VALUES = ["none", "bad", "good"]


def rows_of(aspects: int, count: int = 60, groups: int = 0) -> Rows:
    draw = np.random.default_rng(3)
    cells = {f"aspect {i}": draw.choice(["", *VALUES], count).tolist() for i in range(aspects)}
    grouped = {"group": [f"g{i % groups}" for i in range(count)]} if groups else {}
    values = {"text": [f"text {i}" for i in range(count)], **cells, **grouped}
    writer = RowWriter(row_schema(list(values)), "test")
    files = pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), pa.array(["new.csv"]))
    writer.add(values, files, list(range(2, count + 2)))
    return writer.finish()


def evidence(aspects: int = 2, groups: int = 0, **more: Any) -> AspectEvidence:
    options = TextAspectsConfig("mine", [f"a{i}" for i in range(aspects)], VALUES)
    recipe, rows = TextAspects(options), rows_of(aspects, groups=groups)
    truth = targets_of(rows, options)
    draw = np.random.default_rng(4)
    said = np.where((draw.random(truth.shape) < 0.6) & (truth >= 0), truth, draw.integers(0, 3, truth.shape))
    answers = {"tuned": AspectAnswers(said, draw.uniform(0.4, 1.0, truth.shape))}
    answers["majority"] = majority(truth, len(rows), 3)
    return AspectEvidence(recipe, rows, ScoreConfig(resamples=100), 0, answers=answers, **more)


def test_the_report_has_a_line_and_a_matrix_for_each_aspect() -> None:
    made = evidence(3)
    report = made.report(split_counts={"train": {"a0: none": 7, "rows": 9}, "test": {"a0: none": 3, "rows": 60}})
    titles = [section.title for section in report.sections]
    matrices = [f"Confusion matrix: a{i}" for i in range(3)]
    assert titles[-6:] == ["Aspects", *matrices, "Most confident mistakes", "Splits"]
    (table,) = [each for each in report.sections if each.title == "Aspects" and isinstance(each, Table)]
    assert table.columns[-1] == "macro F1, majority"
    for i, line in enumerate(table.rows):
        known = made.truth[:, i] != IGNORE_INDEX
        assert line[:3] == [f"a{i}", int(known.sum()), int((made.truth[known, i] > 0).sum())]
    ids = re.findall(r'id="([^"]+)"', render(report))
    assert len(ids) == len(set(ids)), "pictures of one kind on one page"


def test_the_mistakes_are_those_of_known_values_the_most_probable_first() -> None:
    made = evidence(2)
    (table,) = [each for each in made.sections() if each.title == "Most confident mistakes" and isinstance(each, Table)]
    shares = [float(row[-1]) for row in table.rows]  # type: ignore[arg-type]
    answers = made.answers["tuned"]
    wrong = (answers.predicted != made.truth) & (made.truth != IGNORE_INDEX)
    assert shares == sorted(answers.probability[wrong].tolist(), reverse=True)[:15]
    assert all(row[3] in VALUES and row[3] != row[4] for row in table.rows)


def test_of_many_aspects_the_worst_matrices_are_drawn() -> None:
    made = evidence(MOST_MATRICES + 2)
    drawn = [each for each in made.sections() if isinstance(each, Figure)]
    assert len(drawn) == MOST_MATRICES and f"Of {MOST_MATRICES + 2} aspects" in drawn[0].note
    wrong = ((made.answers["tuned"].predicted != made.truth) & (made.truth != IGNORE_INDEX)).sum(axis=0)
    left_out = {f"a{i}" for i in range(MOST_MATRICES + 2)} - {each.title.split(": ")[1] for each in drawn}
    assert max(wrong[int(name[1:])] for name in left_out) <= sorted(wrong)[2]


def test_whole_groups_are_resampled() -> None:
    alone, grouped = evidence(2).models["tuned"], evidence(2, groups=12).models["tuned"]
    assert [score.value for score in alone] == [score.value for score in grouped]
    assert "group bootstrap" in grouped[0].method and "group bootstrap" in grouped[1].method
    assert alone[1].method == "wilson"


def test_groups_of_rows_have_the_score_of_their_rows() -> None:
    kinds = ["x" if i < 35 else "y" for i in range(60)]
    made = evidence(2, strata=Strata({"kind": kinds}, settings={"confidence": 0.95, "resamples": 50, "seed": 0}))
    first, second = made.groups_of_rows.subgroups
    answers = made.answers["tuned"].predicted
    assert first.score.value == overall_measures(made.truth[:35], answers[:35], 3)["macro_f1"].value()
    assert second.score.value == overall_measures(made.truth[35:], answers[35:], 3)["macro_f1"].value()


def test_the_commonest_value_is_that_of_the_known_rows() -> None:
    train = np.array([[1, IGNORE_INDEX], [1, 2], [0, 2], [IGNORE_INDEX, 0]])
    found = majority(train, 2, 3)
    assert found.predicted.tolist() == [[1, 2], [1, 2]]
    assert found.probability[0] == pytest.approx([2 / 3, 2 / 3])


def test_predictions_are_read_back_and_others_are_refused(tmp_path: Path) -> None:
    made = evidence(2)
    write_aspects(tmp_path / "predictions.csv", made.rows, made.truth, made.answers["tuned"], made.options)
    with lines_of(tmp_path / "predictions.csv") as lines:
        truth, answers = read_aspects(lines, made.options)
        assert (truth == made.truth).all() and (answers == made.answers["tuned"].predicted).all()
        with user_error("run.other-rows", match="other aspects or values"):
            read_aspects(lines, TextAspectsConfig("mine", ["a0", "b"], VALUES))
        with user_error("run.other-rows"):
            read_aspects(lines, TextAspectsConfig("mine", ["a0", "a1"], ["none", "bad", "great"]))
