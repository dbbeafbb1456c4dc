from __future__ import annotations

import json
from pathlib import Path

from tests.user_error import user_error
from tunebook.data.rejects import RejectLog


def test_nothing_is_written_without_rejects(tmp_path: Path) -> None:
    log = RejectLog(tmp_path / "rejects.jsonl", 0)
    log.write()
    log.check()
    assert list(tmp_path.iterdir()) == []


def test_entries_are_written_whole_and_no_other_file_stays(tmp_path: Path) -> None:
    log = RejectLog(tmp_path / "run" / "rejects.jsonl", 5)
    log.add("a.csv", 3, "label", "is empty")
    log.drop("a.csv", 9, "", "has an exact duplicate in test: b.csv:2", "caf\udce9" + "x" * 500)
    log.write()
    entries = [json.loads(line) for line in log.path.read_text(encoding="utf-8").splitlines()]
    assert entries[0] == {"file": "a.csv", "line": 3, "field": "label", "reason": "is empty", "text": ""}
    assert entries[1]["reason"] == "dropped: has an exact duplicate in test: b.csv:2"
    assert entries[1]["text"].startswith("caf\\udce9xxx") and len(entries[1]["text"]) < 130
    assert [path.name for path in log.path.parent.iterdir()] == ["rejects.jsonl"]


def test_too_many_rejects_stop_with_counts_reasons_and_the_way_on(tmp_path: Path) -> None:
    log = RejectLog(tmp_path / "rejects.jsonl", 1)
    log.read = 40
    log.drop("a.csv", 2, "", "has an exact duplicate")
    for line in range(10, 15):
        log.add("a.csv", line, "text", "is empty")
    with user_error("data.rejected-rows") as caught:
        log.check()
    message = str(caught.value)
    assert message.startswith("5 of 40 rows cannot be used (data.max_rejects=1)")
    assert "a.csv:10 'text' is empty" in message and "a.csv:12" in message and "a.csv:13" not in message
    assert f"2 more in {log.path}" in message
    assert "data.max_rejects=5" in message


def test_dropped_rows_do_not_count_towards_the_limit(tmp_path: Path) -> None:
    log = RejectLog(tmp_path / "rejects.jsonl", 0)
    log.drop("a.csv", 2, "", "has an exact duplicate")
    log.check()
    assert (log.count, log.dropped) == (0, 1)


def test_a_log_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log = RejectLog(tmp_path / "file" / "rejects.jsonl", 0)
    log.add("a.csv", 1, "text", "is empty")
    with user_error("file.not-writable", match="cannot be written"):
        log.write()
