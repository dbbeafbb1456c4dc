"""Rows at the limit of their length, and packed files at the limit of their size."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest

from tests.user_error import user_error
from tunebook.data import lines as lines_module
from tunebook.data import unpacking
from tunebook.data.columns import Column
from tunebook.data.formats import read_batches
from tunebook.data.lines import LONGEST_ROW, byte_lines
from tunebook.data.unpacking import check_memory, check_unpacked, open_gzip

COLUMNS = [Column("text", "text", "data.text", "text"), Column("label", "label", "data.label", "label")]


def read(path: Path) -> list[str | None]:
    chunks = read_batches(path, COLUMNS, lambda *row: None)
    return [text for chunk in chunks for text in chunk.values["text"]]


def test_a_line_may_be_as_long_as_the_limit_and_no_longer() -> None:
    whole = b"a" * (LONGEST_ROW - 1) + b"\n"
    assert [len(line) for line in byte_lines(io.BytesIO(whole * 2 + b"b"), "rows")] == [LONGEST_ROW, LONGEST_ROW, 1]
    with user_error("data.row-too-long", where="rows:2"):
        list(byte_lines(io.BytesIO(whole + b"a" + whole), "rows"))


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_rows_of_megabytes_are_read_and_those_without_end_are_not(tmp_path: Path, ending: str) -> None:
    def write(text: str) -> Path:
        row = f"{text},x\n" if ending == "csv" else f'{{"text": "{text}", "label": "x"}}\n'
        path = tmp_path / f"rows.{ending}"
        path.write_text(("text,label\n" if ending == "csv" else "") + row * 2, encoding="utf-8")
        return path

    long = "word " * 600_000
    assert read(write(long)) == [long, long]
    with user_error("data.row-too-long"):
        read(write("a" * LONGEST_ROW))


def test_a_quote_that_takes_in_megabytes_is_named_where_it_opens(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(
        "text,label\nok,x\n" + '"open,x\n' + "more and more,x\n" * (LONGEST_ROW // 16 + 9), encoding="utf-8"
    )
    with user_error("data.unclosed-quote", where="rows.csv:3"):
        read(path)


def test_blank_lines_may_be_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "MOST_BLANK", 5)
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "\n" * 5 + "a,x\n" + "\r\n" * 5 + "b,x\n")
    assert read(path) == ["a", "b"]
    path.write_text("text,label\na,x\n" + "\n" * 6 + "b,x\n")
    with user_error("data.blank-lines", where="rows.csv:8"):
        read(path)


def test_what_is_packed_well_is_unpacked_and_what_blows_up_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(b"text,label\n" + b"the same words again and again,x\n" * 100_000))
    assert len(read(path)) == 100_000  # packed to a three-hundredth, and small
    monkeypatch.setattr(unpacking, "ALWAYS", 1 << 20)
    with user_error("data.unpacks-too-large", where=str(path)):
        read(path)
    with open_gzip(path) as file, user_error("data.unpacks-too-large"):
        while file.read(1 << 16):
            pass


def test_what_is_refused_follows_from_both_sizes(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    check_unpacked(path, packed=1, unpacked=1 << 28)
    check_unpacked(path, packed=1 << 23, unpacked=200 << 23)
    with user_error("data.unpacks-too-large"):
        check_unpacked(path, packed=1 << 23, unpacked=(200 << 23) + 1)
    check_memory(path, 1 << 20)
    with user_error("data.too-large-for-memory", match="1048576.0 GiB of memory"):
        check_memory(path, 1 << 50)
