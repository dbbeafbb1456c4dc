"""Tables as Excel and databases export them: other delimiters, marks of the order of bytes, other encodings."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.user_error import user_error
from tunebook.data.columns import Column
from tunebook.data.delimiters import parse_delimiter
from tunebook.data.formats import read_batches
from tunebook.data.sources import check_readable

COLUMNS = [Column("text", "text", "data.text", "text"), Column("label", "label", "data.label", "label")]


def read(path: Path, delimiter: str | None = None) -> tuple[list[tuple[int, str | None, str | None]], list[tuple]]:
    rejects: list[tuple] = []
    chunks = list(read_batches(path, COLUMNS, lambda *reject: rejects.append(reject), delimiter=delimiter))
    return [
        row for each in chunks for row in zip(each.lines, each.values["text"], each.values["label"], strict=True)
    ], rejects


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    raw = text.encode(encoding)
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ":"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("name", ["a.csv", "A.CSV.gz"])
def test_a_given_delimiter_separates_the_columns(tmp_path: Path, delimiter: str, mark: str, name: str) -> None:
    lines = ["text;id;label", '"gut; sehr gut, ""ja""";1;5,0', "nicht so, na ja;2;4,0"]
    lines[0], lines[2] = lines[0].replace(";", delimiter), lines[2].replace(";", delimiter)
    lines[1] = f'"gut{delimiter} sehr gut, ""ja"""{delimiter}1{delimiter}5,0'
    path = write(tmp_path / name, mark + "\r\n".join(lines))
    rows = [(2, f'gut{delimiter} sehr gut, "ja"', "5,0"), (3, "nicht so, na ja", "4,0")]
    assert read(path, delimiter) == (rows, [])


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_a_file_says_which_delimiter_would_do(tmp_path: Path, delimiter: str) -> None:
    typed = "\\t" if delimiter == "\t" else delimiter
    path = write(tmp_path / "a.csv", delimiter.join(["id", "text", "label"]) + "\n" + delimiter.join("1ab") + "\n")
    with user_error("data.wrong-separator", where=str(path)) as caught:
        check_readable(str(path), "data.train", COLUMNS)
    assert caught.value.fix == f"data.delimiter='{typed}'; its columns: id, text, label"
    check_readable(str(path), "data.train", COLUMNS, delimiter=parse_delimiter(typed))


def test_the_delimiter_of_a_header_that_has_commas_too_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text;note, if any;label\ngut;;5\n")
    with user_error("data.wrong-separator", match="'[;]'") as caught:
        read(path)
    assert caught.value.fix == "data.delimiter=';'; its columns: text, note, if any, label"


def test_a_column_that_is_missing_by_any_delimiter_is_missing(tmp_path: Path) -> None:
    with user_error("data.missing-column", where="data.text"):
        read(write(tmp_path / "a.csv", "texts,note;more,label\na,b,c\n"))


def test_files_of_two_delimiters_are_told_so(tmp_path: Path) -> None:
    with user_error("data.wrong-separator") as caught:
        read(write(tmp_path / "a.csv", "text,label\na,b\n"), ";")
    assert caught.value.fix == "data.delimiter=',', or write all files with one delimiter; its columns: text, label"


@pytest.mark.parametrize(
    ("delimiter", "fix"), [(",", "call it a.csv"), (";", "call it a.csv, with data.delimiter=';'")]
)
def test_a_tsv_file_has_tabs(tmp_path: Path, delimiter: str, fix: str) -> None:
    path = write(tmp_path / "a.tsv", f"text{delimiter}label\na{delimiter}b\n")
    with user_error("data.wrong-separator") as caught:
        read(path, delimiter)
    assert caught.value.fix == f"{fix}; its columns: text, label"
    tabs = write(tmp_path / "b.tsv", "text\tlabel\na;b\tc\n")
    assert read(tabs, ";") == ([(2, "a;b", "c")], [])


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(("line", "delimiter"), [("sep=;", ";"), ('"sep=|"', "|"), ("sep=\t", "\t"), ("SEP=,", ",")])
def test_the_first_line_of_excel_says_the_delimiter(tmp_path: Path, mark: str, line: str, delimiter: str) -> None:
    path = write(
        tmp_path / "a.csv", f"{mark}{line}\r\ntext{delimiter}label\r\ngut{delimiter}5,0\r\n".replace("5,0", "5")
    )
    assert read(path) == read(path, delimiter) == ([(3, "gut", "5")], [])
    other = "|" if delimiter == ";" else ";"
    with user_error("data.wrong-separator", where=f"{path}:1") as caught:
        read(path, other)
    assert caught.value.fix == "leave data.delimiter out, or remove that line"


def test_text_in_the_encoding_of_windows_is_named(tmp_path: Path) -> None:
    rows, rejects = read(write(tmp_path / "a.csv", "text;label\nschön;5\nfine;4\n10 €;1\n", "cp1252"), ";")
    assert rows == [(3, "fine", "4")]
    assert [(line, field) for line, field, *_ in rejects] == [(2, "text"), (4, "text")]
    assert rejects[0][2] == (
        "is not UTF-8: byte 0xf6 at offset 3 ('ö' in Windows-1252): save it as 'CSV UTF-8', or iconv -f cp1252 -t utf-8"
    )
    assert "byte 0x80 at offset 3 ('€' in Windows-1252)" in rejects[1][2]


def test_a_header_in_the_encoding_of_windows_is_named(tmp_path: Path) -> None:
    with user_error("data.not-utf8", match="'Größe' is not UTF-8: byte 0xf6 at offset 2") as caught:
        read(write(tmp_path / "a.csv", "text;Größe;label\na;b;c\n", "cp1252"), ";")
    assert caught.value.fix == "iconv -f cp1252 -t utf-8 a.csv > utf8-a.csv"


@pytest.mark.parametrize("given", ["", ";;", '"', "\n", "a", "1", "tab"])
def test_what_is_no_delimiter_is_refused(given: str) -> None:
    with user_error("config.out-of-range", where="data.delimiter"):
        parse_delimiter(given)
