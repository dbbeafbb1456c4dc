from __future__ import annotations

import json
import subprocess
import sys
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.user_error import user_error
from tunebook.config.schema import LabelledDataConfig, Leaks
from tunebook.data.columns import Column
from tunebook.data.load_and_validate import SAMPLES, ValidatedData, load_and_validate
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog

TEXT = Column("text", "text", "data.text", "text")
LABEL = Column("label", "label", "data.label", "label")


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows), encoding="utf-8")
    return path


def review(i: int, label: str) -> tuple[str, str]:
    return f"review number {i} is one of its own kind, {i * 7919 % 1000} words long", label


REVIEWS = [review(i, "good" if i % 2 else "bad") for i in range(100)]


def gate(
    folder: Path, config: LabelledDataConfig, columns: tuple[Column, ...] = (TEXT, LABEL), **more: object
) -> ValidatedData:
    options: dict = {"samples": None, "invalid": None, "seed": 0, **more}
    return load_and_validate(
        config, columns, rejects=RejectLog(folder / "rejects.jsonl", config.max_rejects), **options
    )


def test_one_file_becomes_three_splits_and_every_row_is_accounted_for(tmp_path: Path) -> None:
    checked = gate(tmp_path, LabelledDataConfig(train=str(write(tmp_path / "rows.csv", REVIEWS))))
    assert [len(part) for part in (checked.train, checked.validation, checked.test)] == [80, 10, 10]
    assert (checked.read, checked.kept, checked.rejected, checked.dropped, checked.unused) == (
        100,
        100,
        0,
        0,
        0,
    )
    assert checked.labels is not None
    assert checked.labels.names == ("bad", "good")
    assert checked.labels.counts["test"] == {"bad": 5, "good": 5}
    assert checked.source == str(tmp_path / "rows.csv")
    assert checked.train.where(0) == f"rows.csv:{checked.train.column('line')[0].as_py()}"
    assert not (tmp_path / "rejects.jsonl").exists()


def test_our_own_split_never_leaks(tmp_path: Path) -> None:
    rows = [(text + tail, label) for text, label in REVIEWS for tail in ("", "!", " indeed")]
    source = str(write(tmp_path / "rows.csv", rows))
    config = LabelledDataConfig(train=source, near_duplicate=0.6)
    checked = gate(tmp_path, config)
    given = {}
    for part in (checked.train, checked.validation, checked.test):
        pairs = list(zip(part.texts("text"), part.texts("label"), strict=True))
        given[part.split] = str(write(tmp_path / f"{part.split}.csv", pairs))
    again = gate(tmp_path, LabelledDataConfig(**given, near_duplicate=0.6))
    assert (again.leaks, again.read) == ((), 300)
    assert again.train.fingerprint == checked.train.fingerprint


def test_bad_rows_stop_the_run_and_are_written_down(tmp_path: Path) -> None:
    rows = [*REVIEWS, ("", "good"), ("  ", "good"), ("fine", ""), ("fine", "nan")]
    config = LabelledDataConfig(train=str(write(tmp_path / "rows.csv", rows)))
    with user_error("data.rejected-rows", match=r"4 of 104 rows cannot be used(.|\n)*rows.csv:102 'text' is empty"):
        gate(tmp_path, config)
    entries = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert [(entry["line"], entry["field"]) for entry in entries] == [
        (102, "text"),
        (103, "text"),
        (104, "label"),
        (105, "label"),
    ]
    config.max_rejects = 4
    checked = gate(tmp_path, config)
    assert (checked.read, checked.kept, checked.rejected) == (104, 100, 4)


def test_a_nul_character_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a\\u0000b"}\n{"text": "fine"}\n')
    log = RejectLog(tmp_path / "r.jsonl", 0)
    assert read_rows(str(path), "data.x", [TEXT], log).texts("text") == ["fine"]
    with user_error("data.rejected-rows", match="'text' holds a NUL character"):
        log.check()


def test_labels_outside_the_wanted_ones_are_rejected_with_a_guess(tmp_path: Path) -> None:
    rows = [*REVIEWS, ("what a dress this is", "Good ")]
    config = LabelledDataConfig(train=str(write(tmp_path / "rows.csv", rows)), labels=["good", "bad"])
    with user_error(
        "data.rejected-rows", match=r"'Good ', which is none of the labels wanted \(did you mean 'good'\?\)"
    ):
        gate(tmp_path, config)
    config.max_rejects = 1
    labels = gate(tmp_path, config).labels
    assert labels is not None and labels.names == ("good", "bad")


def test_the_recipes_own_check_rejects_rows_too(tmp_path: Path) -> None:
    def invalid(row: Mapping[str, str]) -> str | None:
        return "speaks of number 7" if "number 7 " in row["text"] else None

    with user_error("data.rejected-rows", match=r"rows\.csv:9 the row speaks of number 7"):
        gate(tmp_path, LabelledDataConfig(train=str(write(tmp_path / "rows.csv", REVIEWS))), invalid=invalid)


def test_dropped_rows_are_counted_and_logged(tmp_path: Path) -> None:
    config = LabelledDataConfig(
        train=str(write(tmp_path / "train.csv", REVIEWS)),
        test=str(write(tmp_path / "test.csv", REVIEWS[:6])),
        leaks=Leaks.drop,
    )
    checked = gate(tmp_path, config)
    assert (checked.read, checked.kept, checked.rejected, checked.dropped) == (106, 100, 0, 6)
    assert (len(checked.test), len(checked.leaks)) == (6, 6)
    assert len((tmp_path / "rejects.jsonl").read_text().splitlines()) == 6
    assert not set(checked.train.texts("text")) & set(checked.test.texts("text"))
    config.leaks = Leaks.error
    with user_error("data.shared-rows"):
        gate(tmp_path, config)


def test_rows_not_drawn_are_unused_and_not_lost(tmp_path: Path) -> None:
    checked = gate(tmp_path, LabelledDataConfig(train=str(write(tmp_path / "rows.csv", REVIEWS)), shots=5))
    assert (len(checked.train), checked.unused, checked.kept) == (10, 70, 100)


def test_groups_stay_on_one_side(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    lines = [f'"{text}",{label},customer{i // 5}' for i, (text, label) in enumerate(REVIEWS)]
    path.write_text("\n".join(["text,label,customer", *lines]))
    group = Column("group", "customer", "data.group", "any")
    checked = gate(tmp_path, LabelledDataConfig(train=str(path), group="customer"), (TEXT, LABEL, group))
    sides = [set(part.texts("group")) for part in (checked.train, checked.validation, checked.test)]
    assert sum(map(len, sides)) == len(set().union(*sides)) == 20
    assert all(sides)


def test_a_row_without_a_group_is_in_no_group_with_others(tmp_path: Path) -> None:
    lines = [f'"{text}",{label},customer{i // 5}' for i, (text, label) in enumerate(REVIEWS)]
    lines[3], lines[8], lines[20] = (line.rpartition(",")[0] + "," for line in (lines[3], lines[8], lines[20]))
    lines[8] += "  "
    lines[20] += "nan"
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["text,label,customer", *lines]))
    group = Column("group", "customer", "data.group", "any")
    with user_error("data.rejected-rows") as caught:
        gate(tmp_path, LabelledDataConfig(train=str(path), group="customer"), (TEXT, LABEL, group))
    alone = "give a row without a group one of its own, a value that no other row has"
    said = str(caught.value)
    places = ("5 'customer' is empty", "10 'customer' is only white space", "22 'customer' is 'nan', a missing group")
    for place in places:
        assert f"rows.csv:{place}: {alone}" in said


def test_samples_are_used_when_no_rows_are_named(tmp_path: Path) -> None:
    samples = {
        "train": write(tmp_path / "a.csv", REVIEWS[:80]),
        "test": write(tmp_path / "b.csv", REVIEWS[80:]),
    }
    checked = gate(tmp_path, LabelledDataConfig(), samples=samples)
    assert (checked.source, len(checked.test)) == (SAMPLES, 20)
    with user_error("data.no-source", where="data.train", match="no training rows are given"):
        gate(tmp_path, LabelledDataConfig())
    with user_error("data.no-source", where="data.train", match=r"data.test is set and data.train is not"):
        gate(tmp_path, LabelledDataConfig(test=str(tmp_path / "b.csv")), samples=samples)


def test_a_recipe_without_labels_passes_too(tmp_path: Path) -> None:
    checked = gate(tmp_path, LabelledDataConfig(train=str(write(tmp_path / "rows.csv", REVIEWS))), (TEXT,))
    assert (checked.labels, len(checked.train), len(checked.test)) == (None, 80, 10)


def test_texts_are_normalised_to_form_c_and_else_untouched(tmp_path: Path) -> None:
    text = unicodedata.normalize("NFD", " Café  ")
    rows = read_rows(
        str(write(tmp_path / "rows.csv", [(text, "x")])), "data.x", [TEXT], RejectLog(tmp_path / "r.jsonl", 0)
    )
    assert rows.texts("text") == [unicodedata.normalize("NFC", " Café  ")]


def test_optional_columns_may_be_absent(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text\nfine\n")
    label = Column("label", "label", "data.label", "label", required=False)
    rows = read_rows(str(path), "rows", [TEXT, label], RejectLog(tmp_path / "r.jsonl", 0))
    assert (rows.texts("text"), rows.column("label").to_pylist()) == (["fine"], [None])


def test_content_not_place_or_format_makes_the_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    whole = write(tmp_path / "rows.csv", REVIEWS)
    halves = [write(tmp_path / "elsewhere" / f"{i}.csv", REVIEWS[i * 50 : i * 50 + 50]) for i in range(2)]
    lines = tmp_path / "rows.jsonl"
    lines.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in REVIEWS))
    log = RejectLog(tmp_path / "r.jsonl", 0)
    specs = [str(whole), [str(half) for half in halves], str(lines)]
    prints = {read_rows(spec, "data.x", [TEXT, LABEL], log).fingerprint for spec in specs}
    assert len(prints) == 1
    rows = read_rows(str(whole), "data.x", [TEXT, LABEL], log)
    assert rows.take(range(99)).fingerprint not in prints
    assert rows.take([3, 1, 2]).texts("text") == [REVIEWS[i][0] for i in (3, 1, 2)]


def test_a_file_with_no_good_row_is_refused(tmp_path: Path) -> None:
    config = LabelledDataConfig(train=str(write(tmp_path / "rows.csv", [("", "a")])), max_rejects=9)
    with user_error("data.no-usable-rows", match="no train row can be used"):
        gate(tmp_path, config)


MEMORY = """
import resource, sys
from pathlib import Path
from tunebook.data.columns import Column
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
column = [Column("text", "text", "data.text", "text")]
read_rows(sys.argv[1], "data.train", column, RejectLog(Path("r.jsonl"), 0))
before = peak()
rows = read_rows(sys.argv[2], "data.train", column, RejectLog(Path("r.jsonl"), 0))
grown = peak() - before
print(len(rows), grown, *[name for name in ("torch", "lightning", "transformers") if name in sys.modules])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read as Linux tells it")
def test_a_large_file_is_read_in_little_memory_and_without_torch(tmp_path: Path) -> None:
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    small.write_text("text\nfine\n")
    with large.open("w") as file:
        file.write("text\n")
        for i in range(60_000):
            file.write(f"{i} " + "word " * 400 + "\n")
    command = [sys.executable, "-c", MEMORY, str(small), str(large)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    count, grown, *heavy = done.stdout.split()
    assert large.stat().st_size > 114 << 20
    assert (int(count), heavy) == (60_000, [])
    assert int(grown) < 60
