"""Files that Python's own writers make come back value for value, and broken ones lose no row in silence."""

from __future__ import annotations

import csv
import json
import tempfile
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from tunebook.data.columns import Column
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.errors import UserError

COLUMNS = [Column("text", "text", "data.text", "text"), Column("label", "label", "data.label", "label")]
# Quotes, commas and line ends within a field; no lone surrogates, which no UTF-8 file can hold, and no NUL.
VALUE = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30).filter(str.strip)
TABLE = st.lists(st.tuples(VALUE, st.sampled_from(["good", "bad", "so, so", 'a "b"'])), min_size=1, max_size=8)


def read(path: Path) -> tuple[Rows, RejectLog]:
    log = RejectLog(path.with_name("rejects.jsonl"), 1000)
    return read_rows(str(path), "data.train", COLUMNS, log), log


def as_read(value: str) -> str:
    return unicodedata.normalize("NFC", value)


def write(folder: str, ending: str, table: list[tuple[str, str]]) -> Path:
    path = Path(folder) / f"rows.{ending}"
    if ending == "parquet":
        pq.write_table(pa.table({"text": [text for text, _ in table], "label": [label for _, label in table]}), path)
    elif ending == "jsonl":
        lines = [json.dumps({"label": label, "text": text}, ensure_ascii=len(text) % 2 == 0) for text, label in table]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    else:
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, delimiter="\t" if ending == "tsv" else ",")
            writer.writerows([("text", "label"), *table])
    return path


@given(TABLE, st.sampled_from(["csv", "tsv", "jsonl", "parquet"]))
def test_what_was_written_is_read_again(table: list[tuple[str, str]], ending: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows, log = read(write(folder, ending, table))
        kept = list(zip(rows.texts("text"), rows.texts("label"), strict=True))
    assert log.count == 0
    assert kept == [(as_read(text), as_read(label)) for text, label in table]


@given(st.binary(max_size=200), st.sampled_from(["csv", "tsv", "jsonl"]))
def test_of_any_bytes_each_row_is_kept_or_rejected_or_the_file_is_refused(noise: bytes, ending: str) -> None:
    start = b'{"text": "fine", "label": "good"}\n' if ending == "jsonl" else b"text\tlabel\nfine\tgood\n"
    if ending == "csv":
        start = start.replace(b"\t", b",")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"rows.{ending}"
        path.write_bytes(start + noise)
        try:
            rows, log = read(path)
        except UserError as error:  # one message for the file as a whole, which says where and how to fix it
            assert error.where and error.fix
            return
        assert len(rows) + log.count == log.read >= 1
        assert rows.texts("text")[0] == "fine"
