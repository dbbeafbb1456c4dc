"""Suspect labels of images: the wrong ones are listed, by file and line, and nothing else changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.diagnosed import diagnosed, read_table, write_patients, write_table
from tests.user_error import user_error
from tunebook.run_folder import RunFolder

WRONG = (9, 30, 61, 88)
"""Lines whose label is turned."""
OTHER = {"normal": "ill", "ill": "normal"}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Sequence[str]:
    """Pictures with strong differences, four of them with the other label."""
    folder = tmp_path_factory.mktemp("rows")
    trained = write_patients(folder / "trained", 120)
    for line in WRONG:
        trained[line - 2]["label"] = OTHER[trained[line - 2]["label"]]
    files = {"train": write_table(folder / "train.csv", trained)}
    files["test"] = write_table(folder / "test.csv", write_patients(folder / "judged", 30, seed=500_000))
    return [f"data.{split}={file}" for split, file in files.items()]


@pytest.fixture(scope="module")
def run(rows: Sequence[str], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return diagnosed(tmp_path_factory.mktemp("head"), *rows, "adapt=head")


def test_turned_labels_are_listed_and_shown(run: RunFolder) -> None:
    found = read_table(run.suspects)
    assert list(found[0]) == ["file", "line", "label", "likely_label", "confidence", "margin"]
    lines = {int(row["line"]) for row in found}
    assert len(lines & set(WRONG)) >= 3
    assert len(lines) <= 10
    assert all(row["file"] == "train.csv" and row["likely_label"] == OTHER[row["label"]] for row in found)
    margins = [float(row["margin"]) for row in found]
    assert margins == sorted(margins)
    page = run.report.read_text(encoding="utf-8")
    assert f"{len(found)} of 120 training and validation labels are suspect" in page
    assert f"train.csv:{found[0]['line']}" in page


def test_other_adaptations_look_when_told_and_find_the_same(
    run: RunFolder, rows: Sequence[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = diagnosed(tmp_path, *rows, "evaluation.suspects=true", "trainer.max_steps=1", name="told")
    assert told.suspects.read_bytes() == run.suspects.read_bytes()
    assert "of 120 training and validation labels are suspect" in " ".join(capsys.readouterr().out.split())
    assert not diagnosed(tmp_path, *rows, "trainer.max_steps=1", name="full").suspects.exists()
    off = diagnosed(tmp_path, *rows, "adapt=head", "evaluation.suspects=false", "trainer.max_steps=1", name="off")
    assert not off.suspects.exists()


def test_patients_stay_together(rows: Sequence[str], tmp_path: Path) -> None:
    grouped = diagnosed(tmp_path, *rows, "adapt=head", "data.group=patient", "trainer.max_steps=1")
    assert len({int(row["line"]) for row in read_table(grouped.suspects)} & set(WRONG)) >= 3


def test_several_findings_have_no_suspects(rows: Sequence[str], tmp_path: Path) -> None:
    findings = [*rows, "adapt=head", "recipe.findings=[blob,bright]", "trainer.max_steps=1"]
    with user_error("config.no-effect", where="evaluation.suspects"):
        diagnosed(tmp_path, *findings, "evaluation.suspects=true")
    assert not diagnosed(tmp_path, *findings).suspects.exists()
