from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.numbered import numbers
from tests.user_error import user_error
from tunebook.config.score import ScoreConfig
from tunebook.families.text_regression.evidence import NumberEvidence
from tunebook.families.text_regression.figures import MOST_POINTS, drawn_rows, residuals
from tunebook.families.text_regression.predictions_csv import read_numbers, write_numbers
from tunebook.report.report import Report, Table, render
from tunebook.run_folder import RunFolder
from tunebook.statistics.number_metrics import number_metrics
from tunebook.statistics.numbers import NumberPredictions, answering


class Recipe:
    """As much of a recipe as evidence asks for."""

    watch = "rmse"

    class options:
        name = "job_hours"

    @staticmethod
    def metrics(labels: Any) -> Any:
        return number_metrics()


def evidence(rows: NumberPredictions) -> NumberEvidence:
    baselines = {"mean": answering(float(rows.target.mean()), rows), "ridge": numbers(len(rows), seed=3)}
    made: Any = Recipe()
    return NumberEvidence(made, rows, baselines, ScoreConfig(resamples=100), seed=0)


def tables(report: Report) -> dict[str, Table]:
    return {section.title: section for section in report.sections if isinstance(section, Table)}


def test_the_report_holds_scores_residuals_and_the_answers_farthest_off() -> None:
    rows = numbers(60)
    report = evidence(rows).report(
        subtitle="starter", notes=["2 texts were cut."], split_counts={"train": {"rows": 60, "mean": 3.0}}
    )
    titles = [section.title for section in report.sections]
    assert titles == [
        "Scores",
        "Scores compared with baselines",
        "Notes",
        "Residuals",
        "Worst answers",
        "The truth in each split",
    ]
    worst = tables(report)["Worst answers"].rows
    errors = [abs(float(row[4])) for row in worst]  # type: ignore[arg-type]
    assert errors == sorted(abs(rows.predicted - rows.target).tolist(), reverse=True)[:15]
    page = render(report)
    assert "Predicted and true" in page and "predicted minus true" in page and "R²" in page


def test_the_verdict_speaks_of_the_watched_error_beside_each_baseline() -> None:
    verdict = evidence(replace(numbers(60), predicted=numbers(60).target + 0.1)).report().verdict
    assert verdict[0].startswith("RMSE (lower is better) 0.10") or "0.10" in verdict[0]
    assert "always predicting the mean of the training rows, " in verdict[1] and " better (95 % CI " in verdict[1]
    assert "ridge regression on TF-IDF" in verdict[2]


def test_the_mean_has_no_correlation_and_says_why() -> None:
    found = {score.name: score for score in evidence(numbers(60)).models["mean"]}
    assert np.isnan(found["spearman"].value) and found["spearman"].reason
    assert found["r2"].value == pytest.approx(0.0)


def test_at_most_so_many_points_are_drawn_evenly_through_the_file() -> None:
    many = numbers(4000)
    rows = drawn_rows(many)
    assert len(rows) == MOST_POINTS and rows[0] == 0 and rows[-1] == 3999
    assert np.diff(rows).max() <= 3
    assert residuals(many).count("<use ") < 2 * MOST_POINTS + 100
    assert len(drawn_rows(numbers(7))) == 7


def test_predictions_are_read_back_in_full_precision(tmp_path: Path) -> None:
    rows, file = numbers(20), tmp_path / "predictions.csv"
    write_numbers(file, rows)
    again = read_numbers(file, answering(0.0, rows))
    assert (again.predicted == rows.predicted).all()
    with user_error("run.other-rows"):
        read_numbers(file, numbers(19))


def test_metrics_and_page_are_written(tmp_path: Path) -> None:
    made = evidence(numbers(30))
    made.write(RunFolder(tmp_path), made.report())
    assert {"metrics.json", "predictions.csv", "report.html"} <= {path.name for path in tmp_path.iterdir()}
