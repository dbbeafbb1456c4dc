"""Exports of Label Studio: one row a task, with the label that its annotators agree on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.labelled import choice, task, write_export
from tests.user_error import user_error
from tunebook.data.columns import Column
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog

COLUMNS = [Column("text", "text", "data.text", "text"), Column("label", "sentiment", "data.label", "label")]
TASKS = [
    task(3, "It broke.", [["bad"]]),
    task(4, "I love it, « truly ».", [["good"], ["good"]]),
    task(7, "Well.", [["bad"], ["good"], ["good"]]),
    task(8, "Hm.", [["bad"], ["good"]]),
    task(9, "Both.", [["bad", "good"]]),
]
KINDS = ("json", "json-min", "csv")


def read(path: Path, columns: list[Column] = COLUMNS, vote: bool = False) -> tuple[list[tuple[Any, ...]], RejectLog]:
    log = RejectLog(path.parent / "rejects.jsonl", 99)
    rows = read_rows([str(path)], "data.train", columns, log, vote=vote)
    roles = [column.role for column in columns]
    return list(zip(rows.lines, *(rows.texts(role) for role in roles), strict=True)), log


def export(folder: Path, kind: str, tasks: list[dict[str, Any]] = TASKS) -> Path:
    return write_export(folder / f"export.{'csv' if kind == 'csv' else 'json'}", tasks, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_a_task_and_disagreement_is_rejected(tmp_path: Path, kind: str) -> None:
    rows, log = read(export(tmp_path, kind))
    assert [row[1:] for row in rows] == [("It broke.", "bad"), ("I love it, « truly ».", "good")]
    assert [row[0] for row in rows] == ([2, 3] if kind == "csv" else [3, 4])
    assert (log.read, log.count) == (5, 3)
    log.write()
    entries = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [entry["line"] for entry in entries] == ([5, 8, 10] if kind == "csv" else [7, 8, 9])
    assert {entry["file"] for entry in entries} == {f"export.{'csv' if kind == 'csv' else 'json'}"}
    assert "annotators of task 7: 'good' (2), 'bad' (1)" in entries[0]["reason"]
    assert "without a majority" in entries[1]["reason"]
    assert "several choices" in entries[2]["reason"]
    assert log.unread.facts()["tasks of several annotators"] == "3 (1 agree, 2 disagree)"


@pytest.mark.parametrize("kind", KINDS)
def test_a_vote_decides_where_there_is_a_majority(tmp_path: Path, kind: str) -> None:
    rows, log = read(export(tmp_path, kind), vote=True)
    assert [row[1:] for row in rows][2] == ("Well.", "good")
    assert (len(rows), log.count) == (3, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_label_wanted_every_task_is_a_row(tmp_path: Path, kind: str) -> None:
    rows, log = read(export(tmp_path, kind), COLUMNS[:1])
    assert [row[1] for row in rows][:3] == ["It broke.", "I love it, « truly ».", "Well."]
    assert not log.count


def test_skipped_annotations_do_not_count_and_ground_truth_decides(tmp_path: Path) -> None:
    tasks = [
        task(1, "a", [["bad"], ["good"]], was_cancelled=True),
        task(2, "b", [["bad"], ["good"]], ground_truth=True),
        task(5, "c", []),
    ]
    rows, log = read(export(tmp_path, "json", tasks))
    assert rows == [(1, "a", "bad"), (2, "b", "good")]
    assert log.count == 1


def test_another_control_and_the_columns_that_nobody_reads(tmp_path: Path) -> None:
    made = task(1, "a", [["bad"]])
    made["annotations"][0]["result"].append(choice(["refund"], "topic"))
    rows, log = read(export(tmp_path, "json", [made]), [COLUMNS[0], Column("label", "topic", "data.label", "label")])
    assert rows == [(1, "a", "refund")]
    assert log.unread.facts()["columns not read"] == "shop (1 rows), sentiment (1 rows)"


def test_many_tasks_over_the_pieces_that_are_read_at_a_time(tmp_path: Path) -> None:
    tasks = [task(i + 1, f"{i} " + "é" * (i % 900), [["good" if i % 3 else "bad"]]) for i in range(3000)]
    tasks[40]["data"]["text"] = "x" * 400_000
    path = export(tmp_path, "json", tasks)
    rows, log = read(path)
    assert len(rows) == 3000 and not log.count
    assert rows[40][1] == "x" * 400_000
    assert [row[0] for row in rows] == list(range(1, 3001))


def test_relations_and_regions_alone_are_no_rows(tmp_path: Path) -> None:
    made = task(1, "Ann met Bob.", [["x"]])
    region = {"value": {"start": 0, "end": 3, "text": "Ann", "labels": ["person"]}, "type": "labels"}
    made["annotations"][0]["result"] = [
        {**region, "id": "a", "from_name": "entity", "to_name": "text", "origin": "manual"},
        {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right", "labels": ["met"]},
    ]
    with user_error("data.no-choices", match=r"entity \(labels\), relation \(relation\)"):
        read(export(tmp_path, "json", [made]))


def test_images_lack_the_text(tmp_path: Path) -> None:
    made = task(1, "", [["cat"]])
    made["data"] = {"image": "/data/upload/1.jpg"}
    with user_error("data.missing-column", match="(?s)has images and no texts.*image, sentiment"):
        read(export(tmp_path, "json", [made]))


@pytest.mark.parametrize("cut", [0.3, 0.9, 0.999])
def test_a_cut_export_is_damaged(tmp_path: Path, cut: float) -> None:
    path = export(tmp_path, "json", [task(i, "a", [["bad"]]) for i in range(200)])
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * cut)])
    with user_error("data.damaged-file"):
        read(path)


def test_a_task_in_two_places_is_rejected(tmp_path: Path) -> None:
    rows, log = read(export(tmp_path, "csv", [TASKS[0], TASKS[1], TASKS[0]]))
    assert len(rows) == 2 and log.count == 1
