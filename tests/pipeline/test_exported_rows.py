"""Rows as spreadsheets export them, from training to the answers: semicolons, and whole numbers as fractions."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from tests.conftest import Tunebook, write_reviews
from tests.finished import finished
from tunebook.cli.predict import predict_command


def exported(path: Path, rows: Path, labels: dict[str, str], head: str = "") -> Path:
    """The rows of a CSV file with semicolons, other labels and a first line."""
    table = list(csv.reader(rows.read_text(encoding="utf-8").splitlines()))
    lines = [";".join([text, labels.get(label, label)]) for text, label in table]
    path.write_text(head + "\r\n".join(lines) + "\r\n", encoding="utf-8-sig")
    return path


def test_semicolons_and_numbers_written_otherwise_work_from_training_to_answers(
    tmp_path: Path, tunebook: Tunebook, capsys
) -> None:
    write_reviews(tmp_path / "a.csv", 48, seed=1, labels=("1", "2"))
    rows = exported(tmp_path / "excel.csv", tmp_path / "a.csv", {})
    usual = ["recipe=review_sentiment", "data.label=label", f"data.train={rows}", "data.max_length=24"]
    for verb in ("check", "compare"):
        refused = tunebook(verb, *usual)
        assert refused.returncode == 2 and "fix:   data.delimiter=';'; its columns: text, label" in refused.stderr
    same = exported(tmp_path / "same.csv", write_reviews(tmp_path / "b.csv", 40, seed=2, labels=("1", "2")), {})
    run = finished(tmp_path, f"data.train={rows}", f"data.test={same}", "data.delimiter=';'")
    assert "  delimiter: ;\n" in run.config.read_text()
    test = exported(tmp_path / "pandas.csv", tmp_path / "b.csv", {"1": "1.0", "2": "2.0"})

    score = ["evaluate", f"bundle={run.path}", f"data.test={test}", "evaluation.resamples=50"]
    refused = tunebook(*score)
    assert refused.returncode == 2 and "fix:   data.delimiter=';'" in refused.stderr
    scored = tunebook(*score, "data.delimiter=;", "accelerator=cpu", "run_dir=scores")
    assert scored.returncode == 0, scored.stderr
    note = "labels were read as the same numbers written otherwise: '1.0' as '1', '2.0' as '2'"
    assert f"note: {note}" in scored.stdout + scored.stderr
    assert note in (tmp_path / "work" / "scores" / "report.html").read_text().replace("&#39;", "'")
    values = json.loads((tmp_path / "work" / "scores" / "metrics.json").read_text())["test"]
    assert values["accuracy"]["value"] == json.loads(run.metrics.read_text())["test"]["accuracy"]["value"]

    refused = tunebook("predict", str(run.path), str(test))
    assert refused.returncode == 2 and "fix:   --delimiter ';'; its columns: text, label" in refused.stderr
    refused = tunebook("predict", str(run.path), str(test), "--delimiter", ";;")
    assert refused.returncode == 2 and "--delimiter must be one character" in refused.stderr
    capsys.readouterr()
    predict_command([str(run.path), str(test), "--delimiter", ";", "--accelerator", "cpu"])
    answers = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [row["prediction"] for row in answers] == [
        row["prediction"] for row in csv.DictReader(run.predictions.read_text().splitlines())
    ]


def test_labels_with_a_decimal_comma_are_said_to_be_names(tmp_path: Path, tunebook: Tunebook) -> None:
    reviews = write_reviews(tmp_path / "b.csv", 60)
    rows = exported(tmp_path / "a.csv", reviews, {"bad": "1,0", "good": "5,0"}, "sep=;\r\n")
    usual = ["recipe=review_sentiment", "data.label=label", f"data.train={rows}", "data.max_length=24"]
    done = tunebook("check", *usual, "trainer.progress=false")
    assert done.returncode == 0, done.stderr
    assert "decimal comma ('1,0', '5,0') and are taken as names; with a decimal point, as in 1.0" in " ".join(
        done.stdout.split()
    )
