"""JSON of all rows in one value is refused with what converts it; what nobody reads may be no number."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.user_error import user_error
from tunebook.data.columns import Column
from tunebook.data.formats import read_batches

COLUMNS = [Column("text", "text", "data.text", "text"), Column("label", "label", "data.label", "label")]
ROWS = [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}]
PANDAS = 'df.to_json(path, orient="records", lines=True)'
BY_COLUMN = {"text": {"0": "a", "1": "b"}, "label": {"0": "x", "1": "y"}}
SPLIT = {"columns": ["text", "label"], "index": [0, 1], "data": [["a", "x"], ["b", "y"]]}
TABLE = {"schema": {"fields": [], "primaryKey": ["index"]}, "data": ROWS}


def read(path: Path, columns: list[Column]) -> tuple[list[dict[str, Any]], list[tuple]]:
    rejects: list[tuple] = []
    chunks = list(read_batches(path, columns, lambda *reject: rejects.append(reject)))
    return [each.values for each in chunks], rejects


HOW = "orient='records', lines=True"
OUT = "lines-rows.jsonl"
JQ = f"rows.json > {OUT}"
BY_PANDAS = f"python -c \"import pandas; pandas.read_json('rows.json'{{}}).to_json('{OUT}', {HOW})\""


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    ("value", "code", "fix"),
    [
        (ROWS, "data.json-array", f"jq -c '.[]' {JQ}, or {PANDAS}"),
        (BY_COLUMN, "data.json-document", BY_PANDAS.format("")),
        ({"text": ["a", "b"], "label": ["x", "y"]}, "data.json-document", BY_PANDAS.format("")),
        (SPLIT, "data.json-document", BY_PANDAS.format(", orient='split'")),
        (TABLE, "data.json-document", f"jq -c '.[\"data\"][]' {JQ}"),
        (
            {"version": 1, "my rows": ROWS},
            "data.json-document",
            f"jq -c '.[\"my rows\"][]' {JQ}",
        ),
        ({"0": ROWS[0], "1": ROWS[1]}, "data.json-document", f"jq -c '.[]' {JQ}, or {PANDAS}"),
    ],
)
def test_rows_in_one_value_are_refused_with_what_converts_them(
    tmp_path: Path, value: Any, code: str, fix: str, indent: int | None
) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(value, indent=indent))
    with user_error(code, where=f"{path}:1") as caught:
        read(path, COLUMNS)
    assert caught.value.fix == fix


@pytest.mark.parametrize("name", ["rows.jsonl", "lines-rows.jsonl", "rows.json.gz"])
def test_what_converts_a_file_never_writes_over_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes((gzip.compress if name.endswith(".gz") else bytes)(json.dumps(ROWS).encode()))
    with user_error("data.json-array") as caught:
        read(path, COLUMNS)
    source, _, target = str(caught.value.fix).removeprefix("jq -c '.[]' ").partition(", or")[0].partition(" > ")
    assert source == name and target not in (name, "")


@pytest.mark.parametrize("values", ['[["a", "x"], ["b", "y"]]', '["a", "x"]\n["b", "y"]\n'])
def test_rows_without_names_are_refused_as_such(tmp_path: Path, values: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(values)
    with user_error("data.json-document", match="without the names of their columns"):
        read(path, COLUMNS)


def test_rows_of_several_lines_each_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row, indent=1) for row in ROWS))
    with user_error("data.json-document", match="objects of several lines") as caught:
        read(path, COLUMNS)
    assert caught.value.fix == "jq -c . rows.jsonl > lines-rows.jsonl writes each on a line of its own"


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": "user", "content": "a"}]},
        {"messages": {"0": "a"}, "id": 1},
        {"brief": {"name": "a", "price": "b"}},
    ],
)
def test_rows_with_nested_values_are_rows(tmp_path: Path, row: dict[str, Any]) -> None:
    name = next(iter(row))
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    values = [{name: [json.dumps(row[name])]}]
    assert read(path, [Column(name, name, "data.format", "any")]) == (values, [])
    read(path, [])  # as where the columns are still to be found


def test_rows_of_another_kind_lack_a_column(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"messages": [{"role": "user", "content": "a"}]}) + "\n\n" + json.dumps({"b": 1}) + "\n")
    with user_error("data.missing-column", where="data.text"):
        read(path, COLUMNS)


def test_wrapped_conversations_are_refused_before_their_form_is_known(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps({"data": [{"messages": []}]}))
    with user_error("data.json-document", match="rows in 'data'"):
        read(path, [])


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity", '{"deep": [1, NaN]}'])
def test_no_numbers_matter_in_the_columns_that_are_read_alone(tmp_path: Path, constant: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"text": "a", "label": "x", "score": {constant}}}\n{{"text": "b", "label": {constant}}}\n')
    values, rejects = read(path, COLUMNS)
    assert values == [{"text": ["a"], "label": ["x"]}]
    number = "NaN" if "NaN" in constant else constant
    assert [reject[:3] for reject in rejects] == [(2, "label", f"holds {number}, which is not JSON")]


def test_no_number_within_a_value_that_is_read_is_a_reject(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"messages": [{"content": NaN}]}\n{"messages": [], "other": NaN}\n')
    values, rejects = read(path, [Column("messages", "messages", "data.format", "any")])
    assert values == [{"messages": ["[]"]}]
    assert [reject[:3] for reject in rejects] == [(1, "messages", "holds NaN, which is not JSON")]


def test_one_line_of_megabytes_is_told_how_rows_are_written(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps({"text": {str(i): "words " * 20 for i in range(150_000)}}))
    with user_error("data.row-too-long") as caught:
        read(path, COLUMNS)
    assert caught.value.fix == f"each row must be a line of its own; of a DataFrame: {PANDAS}"
