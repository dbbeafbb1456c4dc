from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.user_error import user_error
from tunebook.config.schema import LabelledDataConfig
from tunebook.data.rows import Rows, RowWriter, row_schema
from tunebook.data.splits import split
from tunebook.errors import UserError


def rows(labels: Sequence[str], chunk: int = 1000) -> Rows:
    writer = RowWriter(row_schema(["text", "label"]), "train")
    names = pa.array(["a.csv"])
    for start in range(0, len(labels), chunk):
        part = labels[start : start + chunk]
        files = pa.DictionaryArray.from_arrays(pa.array([0] * len(part), pa.int32()), names)
        lines = list(range(start + 2, start + 2 + len(part)))
        writer.add({"text": [f"text {line}" for line in lines], "label": list(part)}, files, lines)
    return writer.finish()


def lines(part: Rows) -> list[int]:
    found: list[int] = part.column("line").to_pylist()
    return found


def counts(part: Rows) -> Counter[str]:
    return Counter(part.texts("label"))


def test_each_label_is_shared_out_by_the_fractions() -> None:
    labels = ["a"] * 800 + ["b"] * 200
    parts, notes = split({"train": rows(labels)}, "label", None, LabelledDataConfig(), 0)
    assert counts(parts["test"]) == counts(parts["validation"]) == {"a": 80, "b": 20}
    assert counts(parts["train"]) == {"a": 640, "b": 160}
    assert sorted(line for part in parts.values() for line in lines(part)) == list(range(2, 1002))
    assert [part.split for part in parts.values()] == ["train", "validation", "test"]
    assert notes == [
        "validation: 100 of 1000 training rows split off (stratified by label, seed 0)",
        "test: 100 of 1000 training rows split off (stratified by label, seed 0)",
    ]


def test_a_split_depends_on_the_seed_and_not_on_chunks() -> None:
    labels = ["a", "b", "c"] * 50
    first, _ = split({"train": rows(labels)}, "label", None, LabelledDataConfig(), 3)
    again, _ = split({"train": rows(labels, chunk=7)}, "label", None, LabelledDataConfig(), 3)
    other, _ = split({"train": rows(labels)}, "label", None, LabelledDataConfig(), 4)
    assert lines(first["test"]) == lines(again["test"]) != lines(other["test"])
    assert first["train"].fingerprint == again["train"].fingerprint != other["train"].fingerprint


def test_a_class_with_three_separate_rows_is_on_every_side() -> None:
    labels = ["common"] * 100 + ["rare"] * 3
    for seed in range(20):
        parts, _ = split({"train": rows(labels)}, "label", None, LabelledDataConfig(), seed)
        assert all(counts(part)["rare"] == 1 for part in parts.values())


def test_a_class_with_two_rows_is_trained_and_tested() -> None:
    parts, _ = split({"train": rows(["common"] * 100 + ["rare"] * 2)}, "label", None, LabelledDataConfig(), 0)
    assert [counts(parts[side])["rare"] for side in ("train", "test", "validation")] == [1, 1, 0]


def test_units_are_never_torn_apart() -> None:
    random = np.random.default_rng(0)
    units = random.integers(0, 60, 400)
    labels = [str(label) for label in random.integers(0, 3, 400)]
    parts, _ = split({"train": rows(labels)}, "label", units, LabelledDataConfig(), 1)
    sides = [{int(units[line - 2]) for line in lines(part)} for part in parts.values()]
    assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    assert 20 <= len(parts["test"]) <= 60


def test_given_sides_are_kept_as_they_are() -> None:
    given = {"train": rows(["a", "b"] * 20), "test": rows(["a", "b"] * 2)}
    parts, notes = split(given, "label", None, LabelledDataConfig(), 0)
    assert parts["test"] is given["test"]
    assert (len(parts["train"]), len(parts["validation"]), len(notes)) == (36, 4, 1)


def test_few_large_groups_still_give_every_side_rows() -> None:
    units = np.repeat([0, 1, 2, 3], 10)
    labels = ["a", "b"] * 20
    parts, _ = split({"train": rows(labels)}, "label", units, LabelledDataConfig(), 0)
    assert sorted(len(part) for part in parts.values()) == [10, 10, 20]
    with user_error("data.too-few-rows", where="data.train", match="too few separate rows"):
        split({"train": rows(labels)}, "label", np.repeat([0, 1], 20), LabelledDataConfig(), 0)


def test_rows_without_labels_are_split_too() -> None:
    parts, _ = split({"train": rows(["x"] * 50)}, None, None, LabelledDataConfig(), 0)
    assert [len(parts[side]) for side in ("train", "validation", "test")] == [40, 5, 5]


def test_shots_take_that_many_of_each_class_and_more_include_the_fewer() -> None:
    labels = ["a"] * 60 + ["b"] * 30
    few, notes = split({"train": rows(labels)}, "label", None, LabelledDataConfig(shots=4), 0)
    more, _ = split({"train": rows(labels)}, "label", None, LabelledDataConfig(shots=8), 0)
    assert counts(few["train"]) == {"a": 4, "b": 4}
    assert set(lines(few["train"])) < set(lines(more["train"]))
    assert lines(few["test"]) == lines(more["test"])
    assert notes[-1] == "train: 8 of 72 rows taken (data.shots=4, seed 0)"
    with user_error("data.too-few-rows", where="data.shots", match=r"'b' has 24(.|\n)*data.shots=24"):
        split({"train": rows(labels)}, "label", None, LabelledDataConfig(shots=25), 0)


def test_max_rows_keeps_the_proportions() -> None:
    labels = ["a"] * 700 + ["b"] * 290 + ["c"] * 10
    parts, _ = split({"train": rows(labels)}, "label", None, LabelledDataConfig(max_rows=100), 0)
    assert counts(parts["train"]) == {"a": 70, "b": 29, "c": 1}
    with user_error("data.too-few-rows", where="data.max_rows", match="less than one row for each of 3 labels"):
        split({"train": rows(labels)}, "label", None, LabelledDataConfig(max_rows=2), 0)


@pytest.mark.parametrize(
    ("config", "code", "where"),
    [
        (LabelledDataConfig(test_fraction=0.0), "config.out-of-range", "data.test_fraction"),
        (LabelledDataConfig(validation_fraction=1.5), "config.out-of-range", "data.validation_fraction"),
        (
            LabelledDataConfig(test_fraction=0.6, validation_fraction=0.4),
            "config.out-of-range",
            "data.validation_fraction, data.test_fraction",
        ),
        (LabelledDataConfig(shots=1, max_rows=5), "config.conflict", "data.shots"),
        (LabelledDataConfig(shots=0), "config.out-of-range", "data.shots"),
    ],
)
def test_options_out_of_range_are_refused(config: LabelledDataConfig, code: str, where: str) -> None:
    with user_error(code, where=where):
        split({"train": rows(["a", "b"] * 20)}, "label", None, config, 0)


def test_a_split_seed_holds_the_splits_while_the_draw_follows_the_seed() -> None:
    labels = ["a", "b"] * 100
    config = LabelledDataConfig(split_seed=7, max_rows=40)
    one, notes = split({"train": rows(labels)}, "label", None, config, 0)
    other, _ = split({"train": rows(labels)}, "label", None, config, 1)
    usual, _ = split({"train": rows(labels)}, "label", None, LabelledDataConfig(), 7)
    for side in ("test", "validation"):
        assert lines(one[side]) == lines(other[side]) == lines(usual[side])
    assert lines(one["train"]) != lines(other["train"])
    assert any("split off (stratified by label, seed 7)" in note for note in notes)
    assert any("(data.max_rows=40, seed 0)" in note for note in notes)


LABELS_AND_GROUPS = st.integers(1, 40).flatmap(
    lambda size: st.tuples(
        st.lists(st.sampled_from("abc"), min_size=size, max_size=size),
        st.lists(st.integers(0, 12), min_size=size, max_size=size),
    )
)


@given(LABELS_AND_GROUPS, st.floats(0.05, 0.4), st.floats(0.05, 0.4), st.integers(0, 1000))
def test_any_rows_are_split_whole_by_group_or_refused(
    made: tuple[list[str], list[int]], validation: float, test: float, seed: int
) -> None:
    labels, groups = made
    config = LabelledDataConfig(validation_fraction=validation, test_fraction=test)
    try:
        parts, _ = split({"train": rows(labels)}, "label", np.array(groups), config, seed)
    except UserError as error:
        assert error.code == "data.too-few-rows"
        # Three groups with all the labels in each could have been shared out.
        whole = [
            group for group in set(groups) if {labels[i] for i in range(len(labels)) if groups[i] == group} >= {*labels}
        ]
        assert len(whole) < 3
        return
    sides = {line - 2: name for name, part in parts.items() for line in lines(part)}
    assert sorted(sides) == list(range(len(labels)))
    assert sum(map(len, parts.values())) == len(labels)
    assert all(len({sides[i] for i in range(len(labels)) if groups[i] == group}) == 1 for group in set(groups))
    assert set(sides.values()) == {"train", "validation", "test"}
    again, _ = split({"train": rows(labels, chunk=3)}, "label", np.array(groups), config, seed)
    assert {name: lines(part) for name, part in again.items()} == {name: lines(part) for name, part in parts.items()}
