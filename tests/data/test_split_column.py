from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.briefed import briefs
from tests.chatted import conversation_with_keys
from tests.conftest import Tunebook
from tests.diagnosed import write_patients, write_table
from tests.finished import finished
from tests.user_error import user_error
from tunebook.config.schema import LabelledDataConfig, Leaks
from tunebook.data.columns import Column, group_columns
from tunebook.data.load_and_validate import SAMPLES, ValidatedData, load_and_validate
from tunebook.data.rejects import RejectLog
from tunebook.data.split_column import split_columns

SAID = ("train", "TRAIN", "Validation", "valid", "val", "dev", "test", "Test ")
MEANT = ("train", "train", "validation", "validation", "validation", "validation", "test", "test")


def review(i: int) -> str:
    return f"review number {i} is one of its own kind, {i * 7919 % 1000} words long"


def write(path: Path, said: Sequence[str]) -> str:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label", "fold", "shop"])
        writer.writerows([review(i), "good" if i // 8 % 2 else "bad", name, f"s{i}"] for i, name in enumerate(said))
    return str(path)


def gate(folder: Path, config: LabelledDataConfig) -> ValidatedData:
    columns = [
        Column("text", "text", "data.text", "text"),
        Column("label", "label", "data.label", "label"),
        *group_columns(config.group),
        *split_columns(config),
    ]
    log = RejectLog(folder / "rejects.jsonl", config.max_rejects)
    return load_and_validate(config, columns, samples=None, invalid=None, rejects=log, seed=0)


def test_each_row_goes_where_it_says_under_any_of_the_usual_names(tmp_path: Path) -> None:
    said = SAID * 10
    checked = gate(tmp_path, LabelledDataConfig(train=write(tmp_path / "rows.csv", said), split="fold"))
    for name in ("train", "validation", "test"):
        part = getattr(checked, name)
        assert part.texts("text") == [review(i) for i in range(80) if MEANT[i % 8] == name]
        assert (part.split, part.roles) == (name, ("text", "label"))
    assert checked.train.where(1) == "rows.csv:3"
    assert checked.notes[0] == "the column 'fold' splits the rows: train 20, validation 40, test 20"
    assert (checked.read, checked.kept, checked.rejected) == (80, 80, 0)
    assert list(checked.unread) == ["columns not read"] and "fold" not in checked.unread["columns not read"]
    assert checked.labels is not None
    assert checked.labels.counts["test"] == {"bad": 10, "good": 10}


def test_the_splits_are_those_of_three_files(tmp_path: Path) -> None:
    said = SAID * 10
    one = gate(tmp_path, LabelledDataConfig(train=write(tmp_path / "rows.csv", said), split="fold"))
    given = {}
    for name in ("train", "validation", "test"):
        path = given[name] = str(tmp_path / f"{name}.csv")
        rows = [(review(i), "good" if i // 8 % 2 else "bad") for i in range(80) if MEANT[i % 8] == name]
        Path(path).write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows))
    three = gate(tmp_path, LabelledDataConfig(**given))
    for name in given:
        assert getattr(one, name).fingerprint == getattr(three, name).fingerprint


@pytest.mark.parametrize(
    ("said", "train", "validation", "test"),
    [
        (["train"] * 70 + ["test"] * 20, 63, 7, 20),
        (["train"] * 80 + ["val"] * 10, 72, 10, 8),
        (["train"] * 80, 64, 8, 8),
    ],
)
def test_a_split_without_rows_is_split_off_the_training_rows(
    tmp_path: Path, said: list[str], train: int, validation: int, test: int
) -> None:
    checked = gate(tmp_path, LabelledDataConfig(train=write(tmp_path / "rows.csv", said), split="fold"))
    assert [len(part) for part in (checked.train, checked.validation, checked.test)] == [train, validation, test]
    if "test" in said:
        assert checked.test.texts("text") == [review(i) for i in range(70, 90)]
        assert any(note.startswith("validation: 7 of 70 training rows split off") for note in checked.notes)


def test_few_rows_are_drawn_of_those_for_training_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", SAID * 10)
    for limit in ({"max_rows": 6}, {"shots": 3}):
        checked = gate(tmp_path, LabelledDataConfig(train=path, split="fold", **limit))
        assert [len(part) for part in (checked.train, checked.validation, checked.test)] == [6, 40, 20]
        assert checked.unused == 14


def test_leaks_between_named_splits_are_found_and_dropped(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", SAID * 10)
    with Path(path).open("a", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerow([review(6).upper(), "bad", "train", "s80"])  # the text of line 8, in test
        csv.writer(stream).writerow(["a text of its own", "bad", "train", "s7"])  # the group of line 9, in test
    config = LabelledDataConfig(train=path, split="fold", group="shop")
    places = (
        r"train rows\.csv:82 has an exact duplicate in test: rows\.csv:8\b(.|\n)*rows\.csv:83 has its group in test"
    )
    with user_error("data.shared-rows", match=places):
        gate(tmp_path, config)
    config.leaks = Leaks.drop
    checked = gate(tmp_path, config)
    assert (checked.read, checked.kept, checked.dropped, len(checked.train), len(checked.test)) == (82, 80, 2, 20, 20)


def test_another_value_or_none_is_a_reject_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", [*SAID * 10, "holdout", ""])
    config = LabelledDataConfig(train=path, split="fold")
    with user_error(
        "data.rejected-rows",
        match=r"2 of 82 rows(.|\n)*rows\.csv:82 'fold' is 'holdout', which names no split \(train, validation, valid, "
        r"val, dev, test\)(.|\n)*rows\.csv:83 'fold' is empty",
    ):
        gate(tmp_path, config)
    config.max_rejects = 2
    assert gate(tmp_path, config).kept == 80


def test_without_training_rows_of_ones_own_there_is_nothing_to_split(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", ["test"] * 30 + ["val"] * 30)
    with user_error("data.no-usable-rows", where="data.split", match="'fold' has only validation 30, test 30"):
        gate(tmp_path, LabelledDataConfig(train=path, split="fold"))
    with user_error("config.conflict", where="data.split", match="data.test is given, and data.split splits"):
        gate(tmp_path, LabelledDataConfig(train=path, test=path, split="fold"))
    with user_error("data.no-source", where="data.train"):
        gate(tmp_path, LabelledDataConfig(split="fold"))
    assert SAMPLES  # which have no such column


def test_class_names_of_a_saved_dataset_name_splits(tmp_path: Path) -> None:
    table = pa.table({"text": [review(i) for i in range(40)], "label": ["a", "b"] * 20, "fold": [0, 0, 0, 0, 1] * 8})
    features = {"info": {"features": {"fold": {"names": ["train", "test"], "_type": "ClassLabel"}}}}
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(features)}), tmp_path / "rows.parquet")
    checked = gate(tmp_path, LabelledDataConfig(train=str(tmp_path / "rows.parquet"), split="fold"))
    assert checked.test.texts("text") == [review(i) for i in range(4, 40, 5)]


def test_every_family_reads_it(tmp_path: Path, tunebook: Tunebook) -> None:
    folds = ["train", "train", "train", "validation", "test"]
    chats = tmp_path / "chats.jsonl"
    rows = [{"messages": conversation_with_keys(i), "fold": folds[i % 5]} for i in range(30)]
    chats.write_text("".join(json.dumps(row) + "\n" for row in rows))
    copy = tmp_path / "briefs.jsonl"
    copy.write_text("".join(json.dumps({**row, "fold": folds[i % 5]}) + "\n" for i, row in enumerate(briefs(30))))
    patients = write_patients(tmp_path / "images", 30, 0)
    table = write_table(tmp_path / "images.csv", [{**row, "fold": folds[i // 2 % 5]} for i, row in enumerate(patients)])
    for recipe, more in {
        "customer_chat": [f"data.train={chats}"],
        "marketing_copy": [f"data.train={copy}", "recipe.fields=[name,features,price]"],
        "medical_diagnosis": [f"data.train={table}", "recipe.size=32", "data.leaks=allow"],
    }.items():
        done = tunebook("check", f"recipe={recipe}", *more, "data.split=fold", "trainer.rehearse=false")
        assert done.returncode == 0, done.stderr
        assert "the column 'fold' splits the rows: train" in " ".join(done.stdout.split())
        assert "split off" not in done.stdout and "columns not read: fold" not in done.stdout


def test_files_that_are_splits_are_refused_before_torch(tmp_path: Path, tunebook: Tunebook) -> None:
    path = write(tmp_path / "rows.csv", SAID * 10)
    usual = ("check", "recipe=review_sentiment", "data.label=label")
    for more, said in {
        (
            f"data.train={path}",
            f"data.validation={path}",
            f"data.test={path}",
        ): "data.validation and data.test are given",
        (): "data.train is not set",
    }.items():
        refused = tunebook(*usual, "data.split=fold", *more)
        assert refused.returncode == 2 and said in refused.stderr, refused.stderr
    missing = tunebook(*usual, "data.split=Fold", f"data.train={path}")
    assert missing.returncode == 2 and "did you mean data.split=fold?" in missing.stderr


def test_a_run_records_and_resumes_its_splits(tmp_path: Path, tunebook: Tunebook) -> None:
    path = write(tmp_path / "folded.csv", SAID * 10)
    run = finished(tmp_path, f"data.train={path}", "data.test=null", "data.split=fold", "trainer.max_epochs=1")
    record = json.loads(run.record.read_text())
    assert record["row_counts"] == {"train": 20, "validation": 40, "test": 20}
    with run.predictions.open(newline="") as stream:
        assert [int(row["line"]) for row in csv.DictReader(stream)] == [i + 2 for i in range(80) if i % 8 > 5]
    before = run.metrics.read_text()
    run.report.unlink()
    run.metrics.unlink()
    done = tunebook("train", f"resume={run.path}")
    assert done.returncode == 0, done.stderr
    assert run.metrics.read_text() == before
    Path(path).write_text(Path(path).read_text().replace("Validation", "train", 1))
    run.report.unlink()
    changed = tunebook("train", f"resume={run.path}")
    assert changed.returncode == 2 and "its rows changed" in changed.stderr
