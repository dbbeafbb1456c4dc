from __future__ import annotations

import csv
import json
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.user_error import user_error
from tunebook.files import written_whole
from tunebook.report.files import write_metrics, write_predictions
from tunebook.statistics.differences import paired_difference
from tunebook.statistics.intervals import Score
from tunebook.statistics.predictions import Predictions
from tunebook.statistics.scores import majority, per_class

MakePredictions = Callable[..., Predictions]


def test_metrics_hold_every_score_with_its_interval(tmp_path: Path, make_predictions: MakePredictions) -> None:
    rows = make_predictions(labels=3, truths=2)
    accuracy = Score("accuracy", 0.8, 0.7, 0.9, 80, 0.95, "wilson")
    undefined = Score("auroc", np.nan, np.nan, np.nan, 80, reason="one label only")
    write_metrics(
        tmp_path / "metrics.json",
        [accuracy, undefined],
        {"majority": [replace(accuracy, value=0.5)]},
        per_class(rows),
        {"majority": {"accuracy": paired_difference(rows, majority([1, 2, 0], rows), "accuracy")}},
    )
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found["test"]["accuracy"] == {
        "value": 0.8,
        "low": 0.7,
        "high": 0.9,
        "n": 80,
        "confidence": 0.95,
        "method": "wilson",
        "higher_is_better": True,
    }
    assert found["test"]["auroc"]["value"] is None
    assert found["test"]["auroc"]["reason"] == "one label only"
    assert found["baselines"]["majority"]["accuracy"]["value"] == 0.5
    assert found["differences"]["majority"]["accuracy"]["distinguishable"] in (True, False)
    assert found["per_class"]["a"]["n"] + found["per_class"]["b"]["n"] == 80
    assert found["per_class"]["c"]["recall"]["value"] is None


def test_predictions_come_back_as_they_were(tmp_path: Path, make_predictions: MakePredictions) -> None:
    texts = ['=1+1, "quoted"', "two\nlines", "星 <script>", "-"]
    rows = replace(make_predictions(n=4), texts=texts)
    write_predictions(tmp_path / "predictions.csv", rows)
    with (tmp_path / "predictions.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == [
        "file",
        "line",
        "text",
        "truth",
        "prediction",
        "probability_a",
        "probability_b",
        "probability_c",
    ]
    assert [row["text"] for row in table] == texts
    assert [row["line"] for row in table] == ["2", "3", "4", "5"]
    assert [row["truth"] for row in table] == [rows.labels[i] for i in rows.target]
    assert [row["prediction"] for row in table] == [rows.labels[i] for i in rows.predicted]
    assert table[1]["probability_b"] == f"{rows.probabilities[1, 1]:.9g}"


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    path.write_text("before")
    with pytest.raises(RuntimeError), written_whole(path) as file:
        file.write("half")
        raise RuntimeError
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["metrics.json"]


def test_a_missing_folder_is_one_message(tmp_path: Path, make_predictions: MakePredictions) -> None:
    with user_error("file.not-writable", match=r"predictions\.csv cannot be written: No such file") as caught:
        write_predictions(tmp_path / "gone" / "predictions.csv", make_predictions())
    assert caught.value.where == str(tmp_path / "gone")
    assert "run_dir=" in str(caught.value)


def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path, make_predictions: MakePredictions) -> None:
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with user_error("file.not-writable", match="File too large"):
            write_predictions(tmp_path / "predictions.csv", make_predictions(n=500))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert os.listdir(tmp_path) == []
