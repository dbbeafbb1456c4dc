"""Rows with several labels: lists in cells, in JSON Lines, Parquet and Label Studio, and columns of 1 and 0."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.labelled import rows_of, task
from tests.user_error import user_error
from tunebook.config.texts import ListedLabelsDataConfig
from tunebook.data.columns import Column
from tunebook.data.label_sets import LabelSets, listed
from tunebook.data.load_and_validate import ValidatedData, load_and_validate
from tunebook.data.rejects import RejectLog

TEXT = Column("text", "text", "data.text", "text")
SETS = LabelSets(role="labels", key="data.label", separator=";")


def columns(separator: str = ";") -> list[Column]:
    return [TEXT, Column("labels", "topics", "data.label", "labels", gaps=True, separator=separator)]


def gate(
    tmp_path: Path, rows: Path, *, separator: str = ";", read: Sequence[Column] = (), **settings: Any
) -> ValidatedData:
    data = ListedLabelsDataConfig(train=str(rows), label="topics", **settings)
    rejects = RejectLog(tmp_path / "rejects.jsonl", data.max_rejects)
    return load_and_validate(data, read or columns(separator), samples=None, invalid=None, rejects=rejects, seed=0)


def write_csv(tmp_path: Path, cells: Sequence[str]) -> Path:
    path = tmp_path / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        rows = [(f"lot {i} of {i * 7919} pieces", cell) for i, cell in enumerate(cells)]
        csv.writer(stream).writerows([("text", "topics"), *rows])
    return path


CELLS = ["fit; price", "price", "", "fit", "fit;price;fit", "  "] * 10


@pytest.mark.parametrize(
    ("cell", "separator", "kept"),
    [
        ("price", ";", ["price"]),
        (" price ;  fit ; ", ";", ["price", "fit"]),
        ("a, b|c", "|", ["a, b", "c"]),
        ('["a;b", " c "]', ";", ["a;b", "c"]),
        ("[]", ";", []),
        ("[old] thing; new", ";", ["[old] thing", "new"]),
        ('{"choices": ["a", "b"]}', ";", ["a", "b"]),
        ("fit;fit", ";", ["fit", "fit"]),
    ],
)
def test_a_cell_is_taken_apart(cell: str, separator: str, kept: list[str]) -> None:
    found, fault = listed(cell, separator, None)
    assert (json.loads(found), fault) == (kept, "")


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ('["a", 1]', "lists 1, which is not text"),
        ('["a", null]', "lists null, which is not text"),
        ('[["a"]]', 'lists ["a"], which is not text'),
        ('{"a": 1}', "is a nested object, not a list of labels"),
        ('["a\\u0000"]', "holds a NUL character"),
        ("price; colour", "has 'colour', which is none of the labels wanted"),
    ],
)
def test_what_is_no_list_of_labels_is_told_why(cell: str, reason: str) -> None:
    assert listed(cell, ";", ["a", "price"])[1] == reason


def test_lists_become_flags_and_an_empty_cell_is_a_row_without_labels(tmp_path: Path) -> None:
    found = gate(tmp_path, write_csv(tmp_path, CELLS), validation_fraction=0.2, test_fraction=0.2)
    assert found.labels is not None and found.labels.names == ("fit", "price")
    assert (found.read, found.rejected) == (60, 0)
    totals = {name: sum(counts[name] for counts in found.labels.counts.values()) for name in found.labels.names}
    assert totals == {"fit": 30, "price": 30}
    flags = SETS.flags_of(found.train, found.labels.names)
    for text, flag in zip(found.train.texts("text"), flags, strict=True):
        names = {part.strip() for part in CELLS[int(text.split()[1])].split(";")} - {""}
        assert names == {name for name, each in zip(found.labels.names, flag, strict=True) if each}
    assert "10 rows list a label twice: it counts once" in found.notes


def test_rows_are_stratified_by_which_labels_they_have(tmp_path: Path) -> None:
    found = gate(tmp_path, write_csv(tmp_path, CELLS), validation_fraction=0.2, test_fraction=0.2)
    assert any("stratified by labels" in note for note in found.notes)
    # Twenty rows of each of: both, fit alone or price alone ten each, none; a fifth of each goes to either side.
    for part in (found.validation, found.test):
        kinds, counts = np.unique(SETS.mixtures(part), return_counts=True)
        assert dict(zip(kinds, counts, strict=True)) == {"[]": 4, '["fit"]': 2, '["fit", "price"]': 4, '["price"]': 2}


def test_lists_of_json_lines_and_of_parquet_are_read_as_they_are(tmp_path: Path) -> None:
    lists: list[Any] = [["a;b", "fit"], ["fit"], [], None, ["a;b"]] * 8
    rows = [{"text": f"lot {i} of {i * 7919} pieces", "topics": each} for i, each in enumerate(lists)]
    lines = tmp_path / "rows.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    for path in (lines, tmp_path / "rows.parquet"):
        found = gate(tmp_path, path)
        assert found.labels is not None and found.labels.names == ("a;b", "fit") and found.rejected == 0
        assert sum(counts["a;b"] for counts in found.labels.counts.values()) == 16


@pytest.mark.parametrize("kind", ["json", "min.json"])
def test_choices_of_label_studio_are_labels_and_annotators_may_disagree(tmp_path: Path, kind: str) -> None:
    answers = [[["fit", "price"]], [["price"]], [[]], [["price", "fit"], ["fit", "price"]]] * 6
    tasks = [task(i, f"lot {i} of {i * 7919} pieces", each) for i, each in enumerate(answers, start=1)]
    disagreed = task(99, "another lot", [["fit"], ["price"]])
    for each in (*tasks, disagreed):
        for annotation in each["annotations"]:
            annotation["result"] = [
                {**result, "from_name": "topics"} for result in annotation["result"] if result["value"]["choices"]
            ]
    path = tmp_path / f"export.{kind}"
    everything = [*tasks, disagreed]
    if kind == "min.json":
        everything = [_row(each, annotation) for each in everything for annotation in each["annotations"]]
    path.write_text(json.dumps(everything), encoding="utf-8")
    found = gate(tmp_path, path, max_rejects=1)
    assert (found.read, found.rejected) == (25, 1)
    assert found.labels is not None
    assert [sum(counts[name] for counts in found.labels.counts.values()) for name in ("fit", "price")] == [12, 18]


def _row(each: dict[str, Any], annotation: dict[str, Any]) -> dict[str, Any]:
    """A row of JSON-MIN: one choice as it is, several as an object, none as nothing."""
    row = {**rows_of([task(each["id"], each["data"]["text"], [["x"]])])[0]}
    row.pop("sentiment")
    choices = annotation["result"][0]["value"]["choices"] if annotation["result"] else []
    return row | (
        {"topics": ""} if not choices else {"topics": choices[0] if len(choices) == 1 else {"choices": choices}}
    )


def test_a_separator_that_no_row_has_is_told(tmp_path: Path) -> None:
    with user_error("data.wrong-separator", where="data.separator", match="hold ',', such as 'fit, price'") as caught:
        gate(tmp_path, write_csv(tmp_path, ["fit, price", "price", "fit", ""] * 10))
    assert "data.separator=','" in str(caught.value.fix)
    found = gate(tmp_path, write_csv(tmp_path, ["fit", "price", ""] * 10))
    assert any("no row has more than one label: ';' is between labels" in note for note in found.notes)
    named = gate(tmp_path, write_csv(tmp_path, ["fit, price", "price", ""] * 10), labels=["fit, price", "price"])
    assert named.labels is not None and named.labels.names == ("fit, price", "price")


@pytest.mark.parametrize(
    ("cells", "code", "said"),
    [
        (["fit", ""] * 20, "data.single-class", "one label only, 'fit'"),
        (["", " "] * 20, "data.single-class", "no training row has any label"),
        (["fit; price", "fit"] * 20, "data.constant-label", "every training row has the label 'fit'"),
        (["fit; Fit", "price"] * 20, "data.confusable-labels", "differ by case"),
        (["fit", "price"] * 20 + ["colour;fit"], "data.rare-label", "only one row has the label 'colour'"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(tmp_path: Path, cells: list[str], code: str, said: str) -> None:
    with user_error(code, match=said):
        gate(tmp_path, write_csv(tmp_path, cells))


def test_only_the_labels_wanted_are_taken_in_their_order(tmp_path: Path) -> None:
    path = write_csv(tmp_path, ["fit;price", "price", "", "fit"] * 10 + ["colour; fit"])
    found = gate(tmp_path, path, labels=["price", "fit"], max_rejects=1)
    assert found.labels is not None and found.labels.names == ("price", "fit") and found.rejected == 1
    with user_error("data.rejected-rows", match="has 'colour', which is none of the labels wanted"):
        gate(tmp_path, path, labels=["price", "fit"])


def test_a_label_of_other_splits_alone_is_refused(tmp_path: Path) -> None:
    train = write_csv(tmp_path, ["fit;price", "price", "", "fit"] * 10)
    other = tmp_path / "other.csv"
    other.write_text("text,topics\nsomething else here,colour;fit\n", encoding="utf-8")
    with user_error("data.unseen-label", where="data.test", match="'colour'"):
        gate(tmp_path, train, test=str(other))


def test_columns_of_yes_and_no_keep_their_order_and_refuse_what_is_neither(tmp_path: Path) -> None:
    read = [TEXT, *(Column(f"label {i}", name, "recipe.topics", "flag") for i, name in enumerate(("price", "fit")))]
    path = tmp_path / "rows.csv"
    rows = [f"lot {i} of {i * 7919} pieces,{i % 2},{['1', 'true', '0', 'false'][i % 4]}" for i in range(40)]
    path.write_text("text,price,fit\n" + "\n".join(rows) + "\n", encoding="utf-8")
    found = gate(tmp_path, path, read=read)
    assert found.labels is not None and found.labels.names == ("price", "fit")
    assert any("stratified by topics" in note for note in found.notes)
    for cell, reason in (("maybe", "neither 1 nor 0"), ("", "is empty"), ("-1", "unknown value")):
        path.write_text("text,price,fit\n" + "\n".join([*rows, f"one more,1,{cell}"]) + "\n", encoding="utf-8")
        with user_error("data.rejected-rows", match=reason):
            gate(tmp_path, path, read=read)
    path.write_text("text,price,fit\n" + "\n".join(f"{row[:-1]},1" for row in rows), encoding="utf-8")
    rows = [f"lot {i} of {i * 7919} pieces,{i % 2},1" for i in range(40)]
    path.write_text("text,price,fit\n" + "\n".join(rows) + "\n", encoding="utf-8")
    with user_error("data.constant-label", where="recipe.topics", match="every training row has the topic 'fit'"):
        gate(tmp_path, path, read=read)


def test_fewer_rows_than_combinations_of_labels_are_drawn_at_random(tmp_path: Path) -> None:
    kinds = [";".join(name for i, name in enumerate(("a", "b", "c")) if number >> i & 1) for number in range(8)]
    path = write_csv(tmp_path, kinds * 10)
    few, more = gate(tmp_path, path, max_rows=7), gate(tmp_path, path, max_rows=16)
    assert (len(few.train), len(more.train)) == (7, 16)
    _, counts = np.unique(SETS.mixtures(more.train), return_counts=True)
    assert counts.tolist() == [2] * 8, "enough rows are of every combination alike"
