"""Whether rows can be read is seen from the first of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.user_error import user_error
from tunebook.data.columns import Column
from tunebook.data.sources import check_readable

COLUMNS = [Column("text", "text", "data.text", "text"), Column("label", "label", "data.label", "label")]


@pytest.mark.parametrize(
    ("name", "content", "code", "where"),
    [
        ("rows.csv", "text,lable\nfine,good\n", "data.missing-column", "data.label"),
        ("rows.jsonl", '{"text": "fine"}\n', "data.missing-column", "data.label"),
        ("rows.csv", "", "data.empty-file", None),
        ("rows.xls", "text", "data.unknown-format", None),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(
    name: str, content: str, code: str, where: str | None, tmp_path: Path
) -> None:
    (tmp_path / "good.csv").write_text("text,label\nfine,good\n")
    (tmp_path / name).write_text(content)
    with user_error(code, where=where):
        check_readable([str(tmp_path / "good.csv"), str(tmp_path / name)], "data.train", COLUMNS)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with user_error("data.missing-file", where="data.test"):
        check_readable(str(tmp_path / "rows.csv"), "data.test", COLUMNS)


def test_what_rows_hold_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text('text,label\n"",\n')
    check_readable(str(tmp_path / "rows.csv"), "data.train", COLUMNS)


def test_a_pipe_is_refused_before_anybody_waits_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows.csv")
    with user_error("file.not-regular", where="data.train", match="is a named pipe, not a file"):
        check_readable(str(tmp_path / "rows.csv"), "data.train", COLUMNS)
