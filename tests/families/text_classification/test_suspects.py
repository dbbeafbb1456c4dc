"""Suspect labels of a run: the wrong ones are listed, by file and line, and nothing else changes."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest

from tests.conftest import BAD, GOOD, THINGS, Tunebook, write_reviews
from tests.kills import Killing

WRONG = (11, 40, 77, 120)
"""Lines whose label is turned."""


def turned(path: Path, rows: int = 160) -> Path:
    """Rows of plain words, four of them with the other label."""
    draw = random.Random(0)
    lines = [["text", "label"]]
    for i in range(rows):
        words = draw.choices(GOOD if i % 2 else BAD, k=8)
        label = "good" if (i % 2 == 1) != (i + 2 in WRONG) else "bad"
        lines.append([f"{' '.join(words)} {draw.choice(THINGS)} {i}", label])
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows(lines)
    return path


def settings(rows: Path, test: Path) -> list[str]:
    small = ["data.max_length=32", "trainer=cpu", "trainer.max_epochs=1", "trainer.rehearse=false", "logger=csv"]
    return [
        *("recipe=review_sentiment", f"data.train={rows}", f"data.test={test}", "data.label=label"),
        *("evaluation.resamples=50", "evaluation.zero_shot=false", *small),
    ]


@pytest.fixture
def data(tmp_path: Path) -> list[str]:
    return settings(turned(tmp_path / "turned.csv"), write_reviews(tmp_path / "test.csv", 30, seed=9))


def listed(folder: Path) -> list[dict[str, str]]:
    with (folder / "suspects.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_turned_labels_are_listed_and_stay_in_training(tmp_path: Path, data: list[str], tunebook: Tunebook) -> None:
    done = tunebook("train", *data, "adapt=head", "run_dir=run")
    assert done.returncode == 0, done.stderr
    found = listed(tmp_path / "work" / "run")
    assert list(found[0]) == ["file", "line", "label", "likely_label", "confidence", "margin"]
    lines = {int(row["line"]) for row in found}
    assert lines <= set(WRONG)
    assert len(lines) >= 3
    assert all(row["file"] == "turned.csv" and row["label"] != row["likely_label"] for row in found)
    margins = [float(row["margin"]) for row in found]
    assert margins == sorted(margins)
    assert max(margins) < 0
    assert f"{len(found)} of 160 training and validation labels are suspect" in " ".join(done.stdout.split())
    page = (tmp_path / "work" / "run" / "report.html").read_text(encoding="utf-8")
    assert "Suspect labels" in page
    assert f"turned.csv:{found[0]['line']}" in page


def test_other_adaptations_look_only_when_told_and_find_the_same(
    tmp_path: Path, data: list[str], tunebook: Tunebook
) -> None:
    for name, *more in (("head", "adapt=head"), ("full",), ("told", "evaluation.suspects=true")):
        done = tunebook("train", *data, f"run_dir={name}", "trainer.max_steps=2", *more)
        assert done.returncode == 0, done.stderr
    work = tmp_path / "work"
    assert not (work / "full" / "suspects.csv").exists()
    assert (work / "told" / "suspects.csv").read_bytes() == (work / "head" / "suspects.csv").read_bytes()
    scores = [(work / name / "predictions.csv").read_bytes() for name in ("full", "told")]
    assert scores[0] == scores[1]


def test_false_and_too_few_rows_leave_the_list_out(tmp_path: Path, data: list[str], tunebook: Tunebook) -> None:
    done = tunebook("train", *data, "adapt=head", "evaluation.suspects=false", "run_dir=off", "trainer.max_steps=2")
    assert done.returncode == 0, done.stderr
    few = write_reviews(tmp_path / "few.csv", 8)
    validation = write_reviews(tmp_path / "v.csv", 4, seed=5, labels=("bad", "bad "))
    validation.write_text(validation.read_text().replace("bad ", "bad"))
    more = [f"data.train={few}", f"data.validation={validation}", "adapt=head", "trainer.max_steps=2", "run_dir=few"]
    done = tunebook("train", *data, *more)
    assert done.returncode == 0, done.stderr
    work = tmp_path / "work"
    assert not (work / "off" / "suspects.csv").exists()
    assert not (work / "few" / "suspects.csv").exists()
    assert "no labels were examined" in (work / "few" / "report.html").read_text(encoding="utf-8")


def test_a_killed_run_lists_the_same(tmp_path: Path, cache: Path) -> None:
    rows = turned(tmp_path / "turned.csv")
    test = write_reviews(tmp_path / "test.csv", 30, seed=9)
    killing = Killing(tmp_path / "kills", [*settings(rows, test), "adapt=head", "trainer.checkpoint_every=2"])
    whole = (tmp_path / "kills" / "whole" / "run" / "suspects.csv").read_bytes()
    for event, name in (("os.rename", "step-"), ("os.rename", "suspects.csv")):
        number = killing.numbers_of(event, name)[0]
        assert killing.killed_at_operation(number) == ""
        found = tmp_path / "kills" / f"operation-{number}" / "run" / "suspects.csv"
        assert found.read_bytes() == whole
