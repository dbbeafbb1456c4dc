from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.user_error import user_error
from tunebook.config.schema import Leaks
from tunebook.data.columns import Column
from tunebook.data.content import Compared, compare
from tunebook.data.duplicates import clusters, find_duplicates
from tunebook.data.leaks import guard
from tunebook.data.near import LARGE_GROUP
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog

COLUMNS = (
    Column("text", "text", "data.text", "text"),
    Column("label", "label", "data.label", "label"),
    Column("group", "group", "data.group", "any"),
)
LONG = "the fabric feels soft and warm but the seams came apart after only two careful washes by hand at home"
NEAR = LONG + " again"


def compared(folder: Path, splits: dict[str, list[str]], near_duplicate: float = 0.9) -> Compared:
    """Splits from lines of "text|label|group"; the group is a fresh one where it is left out."""
    rows = {}
    for split, lines in splits.items():
        path = folder / f"{split}.csv"
        cells = [[*line.split("|"), f"{split}{i}"][:3] for i, line in enumerate(lines)]
        path.write_text("text,label,group\n" + "".join(f'"{t}",{label},{g}\n' for t, label, g in cells))
        rows[split] = read_rows(str(path), "data.x", COLUMNS, RejectLog(folder / "rejects.jsonl", 0), split=split)
    return compare(rows, "text", "group", near_duplicate)


def test_each_kind_of_leak_is_named_with_both_places(tmp_path: Path) -> None:
    splits = {
        "train": ["Love it!|a", f"{LONG}|a", "alone here|a", "from one customer|a|c7"],
        "test": ["love  IT!|a", f"{NEAR}|a", "quite another|a|c7"],
    }
    found = compared(tmp_path, splits)
    with user_error("data.shared-rows") as caught:
        guard(found, Leaks.error, RejectLog(tmp_path / "rejects.jsonl", 0))
    assert str(caught.value).splitlines()[:4] == [
        "the splits share rows: 1 train row with an exact duplicate in test, "
        "1 train row with its group in test, 1 train row with a near duplicate in test",
        "  where: train train.csv:2 has an exact duplicate in test: test.csv:2",
        "         train train.csv:3 has a near duplicate in test: test.csv:3 (similarity 0.95)",
        "         train train.csv:5 has its group in test: test.csv:4",
    ]
    assert "data.leaks=drop" in str(caught.value) and "data.leaks=allow" in str(caught.value)


def test_drop_takes_train_then_validation_and_never_test(tmp_path: Path) -> None:
    splits = {
        "train": ["one|a", "two|a", "three|a", "only train|a"],
        "validation": ["two|a", "three|a", "only validation|a"],
        "test": ["one|a", "three|a", "only test|a"],
    }
    log = RejectLog(tmp_path / "rejects.jsonl", 0)
    kept, leaks, notes = guard(compared(tmp_path, splits), Leaks.drop, log)
    assert {split: part.tolist() for split, part in kept.items()} == {
        "train": [3],
        "validation": [0, 2],
        "test": [0, 1, 2],
    }
    assert (len(leaks), log.count, log.dropped) == (4, 0, 4)
    log.write()
    entries = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert {(entry["file"], entry["line"]) for entry in entries} == {
        ("train.csv", 2),
        ("train.csv", 3),
        ("train.csv", 4),
        ("validation.csv", 3),
    }
    assert "3 train rows" not in notes[0] and "2 train rows with an exact duplicate in test" in notes[0]


def test_allow_keeps_all_and_says_so(tmp_path: Path) -> None:
    found = compared(tmp_path, {"train": ["same|a", "else|b"], "test": ["same|a"]})
    kept, leaks, notes = guard(found, Leaks.allow, RejectLog(tmp_path / "rejects.jsonl", 0))
    assert (len(kept["train"]), len(leaks)) == (2, 1)
    assert notes[0].startswith("kept (data.leaks=allow): 1 train row")


def test_a_split_that_is_all_leak_is_refused(tmp_path: Path) -> None:
    found = compared(tmp_path, {"train": ["same|a"], "test": ["same|a"]})
    with user_error("data.shared-rows", where="data.train", match="every train row is in another split too"):
        guard(found, Leaks.drop, RejectLog(tmp_path / "rejects.jsonl", 0))


def test_texts_of_two_words_leak_only_when_equal(tmp_path: Path) -> None:
    found = compared(tmp_path, {"train": ["so good|a"], "test": ["so good!|a"]})
    assert guard(found, Leaks.error, RejectLog(tmp_path / "rejects.jsonl", 0))[1] == ()


def test_a_threshold_of_one_finds_equal_texts_only(tmp_path: Path) -> None:
    found = compared(tmp_path, {"train": [f"{LONG}|a"], "test": [f"{NEAR}|a"]}, near_duplicate=1.0)
    assert guard(found, Leaks.error, RejectLog(tmp_path / "rejects.jsonl", 0))[1] == ()


def test_repeats_and_labels_at_odds_are_noted(tmp_path: Path) -> None:
    found = compared(tmp_path, {"train": ["meh|a", "Meh|b", "fine|a", "fine|a"], "test": ["other|a"]})
    assert found.notes("label") == [
        "train: 2 of 4 rows repeat the text of another",
        "1 text with more than one label, such as train.csv:2 and train.csv:3",
    ]


def test_units_hold_together_duplicates_and_groups(tmp_path: Path) -> None:
    lines = ["x|a|g1", f"{LONG}|a|g2", f"{NEAR}|a|g3", "y|a|g1", "X|a|g3", "alone|a|g9"]
    units = compared(tmp_path, {"train": lines}).units("train")
    assert units.tolist() == [0, 0, 0, 0, 0, 5]


def grams(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return set(zip(words, words[1:], words[2:], strict=False))


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.9])
def test_near_duplicates_are_exactly_those_of_all_pairs(threshold: float) -> None:
    rng = random.Random(0)
    vocabulary = [f"w{i}" for i in range(300)]
    texts = [" ".join(rng.choices(vocabulary, k=rng.randrange(1, 60))) for _ in range(60)]
    for text in texts[:40]:
        for changes in (1, 2, 4):
            texts.append(" ".join([*text.split()[:-changes], *rng.choices(vocabulary, k=changes)]))
    expected = {}
    first = {text: i for i, text in reversed(list(enumerate(texts)))}
    places = sorted(first.values())
    for i in places:
        for j in places:
            a, b = grams(texts[i]), grams(texts[j])
            if i < j and a and b and len(a & b) / len(a | b) >= threshold:
                expected[i, j] = len(a & b) / len(a | b)
    found = find_duplicates(pa.chunked_array([texts[:50], texts[50:]]), threshold)
    pairs = zip(zip(found.left.tolist(), found.right.tolist(), strict=True), found.similarity, strict=True)
    assert len(expected) > 20
    assert dict(pairs) == pytest.approx(expected)
    assert found.first.tolist() == [first[text] for text in texts]


def test_a_large_group_of_like_texts_becomes_one_cluster() -> None:
    texts = [f"{LONG} {LONG.upper()[:60]} {i}" for i in range(3 * LARGE_GROUP)]
    found = find_duplicates(pa.chunked_array([texts]), 0.9)
    assert np.unique(clusters(found)).tolist() == [0]
    assert found.complete
