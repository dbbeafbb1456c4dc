from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.chatted import conversation_with_keys
from tests.conftest import Tunebook
from tunebook.data.columns import Column
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog
from tunebook.data.unread import COLUMNS, FILES, MOST_NAMES, SHOWN, Unread
from tunebook.families.image_classification.data.sources import IMAGE_FILES

TEXT = [Column("text", "text", "data.text", "text")]
# Three rows: of "id" all have a value, of "stars" two, of "note" none.
ROWS = [
    {"text": "a lamp", "id": "1", "stars": "5", "note": None},
    {"text": "a rug", "id": "2", "stars": None, "note": None},
    {"text": "a tent", "id": "3", "stars": "4", "note": None},
]


def as_csv(path: Path) -> None:
    lines = [",".join(row[name] or "" for name in row) for row in ROWS]
    path.write_text("\n".join([",".join(ROWS[0]), *lines]) + "\n")


def as_jsonl(path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))


def as_parquet(path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=2)


def as_dataset(path: Path) -> None:
    path.mkdir()
    table = pa.Table.from_pylist(ROWS)
    with pa.OSFile(str(path / "data.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    (path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))
    (path / "dataset_info.json").write_text("{}")


@pytest.mark.parametrize(
    ("name", "write"),
    [("a.csv", as_csv), ("a.jsonl", as_jsonl), ("a.parquet", as_parquet), ("saved", as_dataset)],
)
def test_columns_that_nothing_reads_are_counted_where_they_have_a_value(tmp_path: Path, name: str, write) -> None:
    write(tmp_path / name)
    log = RejectLog(tmp_path / "rejects.jsonl", 0)
    assert len(read_rows(str(tmp_path / name), "data.train", TEXT, log)) == 3
    assert log.unread.facts() == {COLUMNS: "id (3 rows), stars (2 rows)"}


def test_a_key_of_its_own_in_every_row_takes_no_memory(tmp_path: Path) -> None:
    rows = MOST_NAMES + 500
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": "a", f"k{i}": 1}) + "\n" for i in range(rows)))
    log = RejectLog(tmp_path / "rejects.jsonl", 0)
    read_rows(str(tmp_path / "a.jsonl"), "data.train", TEXT, log)
    shown = log.unread.facts()[COLUMNS]
    assert shown.startswith("k0 (1 rows), k1 (1 rows), ")
    assert shown.endswith(f"k{SHOWN - 1} (1 rows), and {MOST_NAMES - SHOWN} or more others")


def test_names_are_shown_whatever_they_hold() -> None:
    unread = Unread()
    for name in ("", "\ud800", "x" * 200):
        unread.count(COLUMNS, name)
    assert unread.facts() == {COLUMNS: rf"'' (1 rows), \ud800 (1 rows), {'x' * 60} (1 rows)"}


def test_files_that_a_folder_of_images_passes_over_are_counted(tmp_path: Path) -> None:
    for name in ("cat/1.png", "cat/.2.png", "dog/3.png", "dog/Thumbs.db", "LICENSE", "README.md", "more.md"):
        (tmp_path / "scans" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "scans" / name).touch()
    columns = [
        Column("image", "path", "data.image", "file", files=IMAGE_FILES),
        Column("label", "label", "data.label", "label"),
    ]
    log = RejectLog(tmp_path / "rejects.jsonl", 0)
    assert len(read_rows(str(tmp_path / "scans"), "data.train", columns, log)) == 2
    assert log.unread.facts() == {FILES: "5 (1 LICENSE, 2 .md, 1 .png, 1 .db)"}


def test_check_names_columns_and_keys_of_turns(tunebook: Tunebook, tmp_path: Path) -> None:
    rows = [{"messages": conversation_with_keys(i), "id": i, "source": "mail" if i % 4 else None} for i in range(40)]
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = tunebook("check", "recipe=customer_chat", f"data.train={tmp_path / 'chats.jsonl'}", "trainer.progress=false")
    assert done.returncode == 0, done.stderr
    assert "columns not read: id (40 rows), source (30 rows)" in done.stdout
    assert "turn keys not read: name (40 turns), time (80 turns)" in done.stdout
